import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import { formatTableName } from '../contract/table-name.ts';
import { quoteName, quoteTable } from '../postgres/identifiers.ts';
import { orStatementFor } from '../postgres/missing-privilege.ts';
import type { Candidate } from '../postgres/replication/candidates.ts';
import { findUnidentified, type Unidentified } from '../postgres/replication/replica-identity.ts';
import type { Session } from '../postgres/session.ts';

/**
 * Makes sure that updates and deletes of tables keep working once they are published.
 *
 * @throws {DatakitError} ReplicaIdentityMissing, naming the tables
 */
export async function ensureReplicaIdentity(
  session: Session,
  candidates: readonly Candidate[],
  { setReplicaIdentity, publication }: Pick<CaptureChangesInput, 'setReplicaIdentity' | 'publication'>,
): Promise<void> {
  const without = await findUnidentified(session, candidates, publication);
  if (without.length === 0) return;
  requireSent(without);
  if (setReplicaIdentity === undefined) {
    throw new DatakitError(
      'ReplicaIdentityMissing',
      `Nothing identifies the rows of ${listed(without.map(formatTableName), 5)} (a deferrable primary key does not), so that the source would refuse to update or delete them once they are published`,
    );
  }
  requireLasting(without);
  for (const table of without) {
    const statement = `ALTER TABLE ${quoteTable(table)} REPLICA IDENTITY FULL`;
    await orStatementFor(statement, async () => session.query(statement));
  }
}

/** Refuses rows that only generated columns could identify, where these are not sent. */
function requireSent(without: readonly Unidentified[]): void {
  const unsent = without.filter((table) => table.unsent.length > 0);
  if (unsent.length === 0) return;
  const columns = unsent.flatMap((table) =>
    table.unsent.map((column) => `${formatTableName(table)}.${quoteName(column)}`),
  );
  throw new DatakitError(
    'ReplicaIdentityMissing',
    `The identity of rows has generated columns that the publication does not send: ${listed(columns, 5)}. Changes would not say which rows they are of, and PostgreSQL 18 refuses to update or delete them. Give the tables a primary key without such columns, or, on PostgreSQL 18, name a publication that was created WITH (publish_generated_columns = stored)`,
  );
}

/** Refuses roots without a primary key: a partition created later inherits that, and no other replica identity. */
function requireLasting(without: readonly Unidentified[]): void {
  const keyless = without.filter(({ root, isPartition }) => isPartition && root.key.length === 0);
  if (keyless.length === 0) return;
  const roots = new Set(keyless.map(({ root }) => formatTableName(root)));
  throw new DatakitError(
    'ReplicaIdentityMissing',
    `Partitions that are added to ${listed([...roots], 5)} later would have no replica identity, since there is no primary key that they could inherit, so that the source would refuse to update or delete their rows. "setReplicaIdentity" is of no use here`,
  );
}
