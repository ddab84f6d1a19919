import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import { formatTableName } from '../contract/table-name.ts';
import { quoteTable } from '../postgres/identifiers.ts';
import { orStatementFor, type Candidate } from '../postgres/replication/publications.ts';
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
  { setReplicaIdentity }: Pick<CaptureChangesInput, 'setReplicaIdentity'>,
): Promise<void> {
  const without = await findUnidentified(session, candidates);
  if (without.length === 0) return;
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
