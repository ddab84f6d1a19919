import type { TableName } from '../../contract/table-name.ts';
import { quoteTable } from '../identifiers.ts';
import type { Session } from '../session.ts';
import { relationDefinition } from './definitions.ts';

/** A table that holds rows itself: an ordinary table, a leaf partition or an inheritance child. */
export interface Partition extends TableName {
  /** Current size on disk, from the file because statistics may be stale; 0 if it has no blocks of its own. */
  readonly blocks: number;
  /** Current size of its TOAST table, where large values are stored. */
  readonly toastBlocks: number;
  /** True if its rows are in numbered blocks, which ctid ranges can address. */
  readonly hasBlocks: boolean;
  /** True if the role may ask for ctid ranges: a grant of single columns does not include `ctid`. */
  readonly mayReadCtid: boolean;
  readonly oid: number;
  /**
   * Its file as of the snapshot of the transaction, 0 if it has none. A rewrite (VACUUM FULL, CLUSTER, TRUNCATE,
   * ALTER TABLE) gives it another. Read from the catalog row, since the current file may be later than the snapshot.
   */
  readonly fileNode: number;
  /** Its definition as of the snapshot of the transaction: see {@link relationDefinition}. */
  readonly columns: string;
  /** True if row-level security of its own decides which rows this role sees. */
  readonly rowSecurityActive: boolean;
  /** True if its rows are in another server or a file, which no snapshot of this server covers. */
  readonly isForeign: boolean;
  /** Locks that a statement over it takes: its own, and one for each of its indexes. */
  readonly locks: number;
}

/**
 * Reads what the server knows about tables that hold rows, in the order of `tables`.
 *
 * Reading the size of a table waits for whoever has locked it, so tables that will not be read should not be passed.
 */
export async function readPartitions(session: Session, tables: readonly number[]): Promise<Partition[]> {
  return session.query<Partition & Record<string, unknown>>(
    `WITH leaf AS (
       SELECT n.nspname AS schema, c.relname AS name, c.oid, t.position, c.relkind = 'f' AS is_foreign,
              c.relkind IN ('r', 'm') AND am.amname = 'heap' AS has_blocks, c.relfilenode AS file_node,
              nullif(c.reltoastrelid, 0) AS toast, ${relationDefinition('c.oid', 'c.relnatts')} AS columns
         FROM unnest($1::oid[]) WITH ORDINALITY AS t(oid, position)
         JOIN pg_catalog.pg_class c ON c.oid = t.oid
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
         LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
     )
     SELECT schema, name, oid, columns, coalesce(has_blocks, false) AS "hasBlocks",
            coalesce(nullif(file_node, 0), pg_relation_filenode(oid), 0) AS "fileNode",
            coalesce(has_column_privilege(oid, (-1)::int2, 'SELECT'), false) AS "mayReadCtid",
            row_security_active(oid) AS "rowSecurityActive", is_foreign AS "isForeign",
            (SELECT 1 + count(*)::int FROM pg_catalog.pg_index i WHERE i.indrelid = leaf.oid) AS locks,
            CASE WHEN has_blocks
                 THEN coalesce(pg_relation_size(oid) / current_setting('block_size')::int, 0) ELSE 0 END::float8 AS blocks,
            coalesce(pg_relation_size(toast) / current_setting('block_size')::int, 0)::float8 AS "toastBlocks"
       FROM leaf ORDER BY position`,
    [tables],
  );
}

/**
 * Returns the current files of the relations with these names, whatever the snapshot; undefined for those without.
 * Looks them up by name, as a COPY does: another table may have taken the place of the one that was planned.
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
