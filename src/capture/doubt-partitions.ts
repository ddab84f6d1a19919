import type { CatalogEntry } from '../bronze/cdc/tables.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { quoteTable } from '../postgres/identifiers.ts';
import { findCandidate, findUnlogged } from '../postgres/replication/candidates.ts';
import { findUnidentified } from '../postgres/replication/replica-identity.ts';
import type { Session } from '../postgres/session.ts';

/**
 * Returns why the stream may not say what became of rows of a partitioned table; each is the end of a sentence.
 *
 * @param known what the catalog said of it before
 */
export async function doubtPartitions(
  source: Session,
  { oid, files }: CatalogEntry,
  known: CatalogEntry | null,
): Promise<string[]> {
  const root = await findCandidate(source, oid);
  const otherwise = root === undefined ? [] : await findUnidentified(source, [root]);
  const unlogged = await findUnlogged(source, [oid]);
  const added = Object.keys(files).filter((leaf) => known !== null && !Object.hasOwn(known.files, leaf));
  const filled = added.length === 0 ? [] : await findFilled(source, oid, added);
  return [
    ...otherwise.map((leaf) => `partition ${formatTableName(leaf)} identifies its rows by other columns`),
    ...unlogged.map(
      (leaf) => `the changes of partition ${formatTableName(leaf)} are not in the write-ahead log`,
    ),
    ...filled.map((leaf) => `partition ${formatTableName(leaf)} was attached with rows`),
  ];
}

/** Blocks looked at for rows: those from before a partition was attached are at its beginning. */
const LOOKED_AT = 1000;

/** Returns partitions with rows from before they were attached: they were not sent. */
async function findFilled(source: Session, root: number, added: readonly string[]): Promise<TableName[]> {
  const leaves = await source.query<TableName & { oid: number } & Record<string, unknown>>(
    `SELECT c.oid, n.nspname AS schema, c.relname AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.oid = ANY ($1::oid[]) AND has_table_privilege(c.oid, 'SELECT') ORDER BY n.nspname, c.relname`,
    [added],
  );
  if (leaves.length === 0) return [];
  const { filled } = await source.one<{ filled: number[] }>(
    `SELECT ARRAY[${leaves.map(whereFilled).join(', ')}]::oid[] AS filled`,
    [root],
  );
  return leaves.filter((leaf) => filled.includes(leaf.oid));
}

/**
 * Returns SQL for the OID of a leaf that has rows older than the command that attached it, or a partition above it;
 * NULL if it has none. Rows of the same transaction are told apart by the commands that wrote them.
 */
function whereFilled(leaf: TableName & { readonly oid: number }): string {
  return `(SELECT ${leaf.oid}
     FROM (SELECT i.xmin, i.cmin FROM pg_catalog.pg_inherits i
            WHERE i.inhrelid IN (SELECT relid FROM pg_catalog.pg_partition_ancestors(${leaf.oid}))
              AND i.inhrelid IN (SELECT relid FROM pg_catalog.pg_partition_tree($1::oid::regclass) WHERE level > 0)
            ORDER BY ${ageOf('i.xmin')} LIMIT 1) AS attached
    WHERE EXISTS (
      SELECT FROM ONLY ${quoteTable(leaf)} AS r
       WHERE r.ctid < '(${LOOKED_AT},0)'
         AND (${ageOf('r.xmin')} > ${ageOf('attached.xmin')}
              OR r.xmin = attached.xmin AND r.cmin::text::bigint < attached.cmin::text::bigint)))`;
}

/**
 * Returns SQL for how many transactions ago one was that wrote a row. Unlike `age`, which turns negative there, it knows
 * those that more than half of all numbers of transactions ago wrote what is frozen since; 1 and 2 are older than any.
 */
const ageOf = (xid: string): string =>
  `CASE WHEN ${xid}::text::bigint > 2
        THEN (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - ${xid}::text::bigint) & ${2 ** 32 - 1}
        ELSE ${2 ** 32} END`;
