import type { CatalogEntry } from '../bronze/cdc/tables.ts';
import { formatTableName } from '../contract/table-name.ts';
import { findCandidate } from '../postgres/replication/publications.ts';
import { findUnidentified } from '../postgres/replication/replica-identity.ts';
import type { Session } from '../postgres/session.ts';

/** Returns why the stream may not say what became of rows of a partitioned table; each is the end of a sentence. */
export async function doubtPartitions(
  source: Session,
  { oid }: CatalogEntry,
  _known: CatalogEntry | null,
): Promise<string[]> {
  const root = await findCandidate(source, oid);
  const otherwise = root === undefined ? [] : await findUnidentified(source, [root]);
  return otherwise.map(
    (partition) =>
      `partition ${formatTableName(partition)} identifies its rows by other columns than the table`,
  );
}
