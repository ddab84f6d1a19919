import type { TableName } from '../../contract/table-name.ts';
import { quoteTable } from '../identifiers.ts';
import type { Session } from '../session.ts';
import { columnsDefinition } from './definitions.ts';

/** A table that holds rows itself: an ordinary table, a leaf partition, a child by inheritance. */
export interface Partition extends TableName {
  /** Size on disk now, from the file and not from statistics, which may be stale. 0 where it has no blocks of its own. */
  readonly blocks: number;
  /** The same of large values, which are stored beside it. */
  readonly toastBlocks: number;
  /** Whether its rows have a place in numbered blocks that a range of ctid can name. */
  readonly hasBlocks: boolean;
  readonly oid: number;
  /**
   * Its file in the snapshot of the transaction, 0 where it has none. A rewrite (VACUUM FULL, CLUSTER, TRUNCATE,
   * ALTER TABLE) gives it another: read from the catalog's row, the one that is current may be later than the snapshot.
   */
  readonly fileNode: number;
  /** How its columns are defined in the snapshot of the transaction: see {@link columnsDefinition}. */
  readonly columns: string;
  /** Whether row-level security of its own decides which rows this role is shown. */
  readonly rowSecurityActive: boolean;
  /** Whether another server or a file has its rows, which no snapshot of this server holds still. */
  readonly isForeign: boolean;
}

/**
 * What the server knows of tables that hold rows, in the order in which they are asked for.
 *
 * To look at the size of one the server waits for whoever has locked it, so those that are not
 * to be read are not asked for.
 */
export async function readPartitions(session: Session, tables: readonly number[]): Promise<Partition[]> {
  return session.query<Partition & Record<string, unknown>>(
    `WITH leaf AS (
       SELECT n.nspname AS schema, c.relname AS name, c.oid, t.position, c.relkind = 'f' AS is_foreign,
              c.relkind IN ('r', 'm') AND am.amname = 'heap' AS has_blocks, c.relfilenode AS file_node,
              nullif(c.reltoastrelid, 0) AS toast, ${columnsDefinition('c.oid', 'c.relnatts')} AS columns
         FROM unnest($1::oid[]) WITH ORDINALITY AS t(oid, position)
         JOIN pg_catalog.pg_class c ON c.oid = t.oid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
     )
     SELECT schema, name, oid, columns, coalesce(has_blocks, false) AS "hasBlocks",
            coalesce(nullif(file_node, 0), pg_relation_filenode(oid), 0) AS "fileNode",
            row_security_active(oid) AS "rowSecurityActive", is_foreign AS "isForeign",
            CASE WHEN has_blocks
                 THEN coalesce(pg_relation_size(oid) / current_setting('block_size')::int, 0) ELSE 0 END::float8 AS blocks,
            coalesce(pg_relation_size(toast) / current_setting('block_size')::int, 0)::float8 AS "toastBlocks"
       FROM leaf ORDER BY position`,
    [tables],
  );
}

/**
 * The files of the relations that have these names now, whatever snapshot the transaction has; undefined where none has one.
 * By name, because a COPY reads by name: another table may have come into the place of the one that was planned.
 */
export async function readFileNodes(
  session: Session,
  partitions: readonly TableName[],
): Promise<(number | undefined)[]> {
  const rows = await session.query<{ file_node: number | null }>(
    `SELECT pg_catalog.pg_relation_filenode(pg_catalog.to_regclass(name)) AS file_node
       FROM pg_catalog.unnest($1::text[]) WITH ORDINALITY AS named(name, position) ORDER BY position`,
    [partitions.map(quoteTable)],
  );
  return rows.map(({ file_node: fileNode }) => fileNode ?? undefined);
}
