import type { TableName } from '../../contract/table-name.ts';
import type { Session } from '../session.ts';

export interface Unreadable extends TableName {
  /** OID of the table that it holds rows of; its own if it has no partitions. */
  readonly root: number;
}

/**
 * Lists what the role may not read of tables: themselves, or the partitions and inheritance children that hold their
 * rows. Privileges on a partitioned table are not enough, since copies read each partition by its own name.
 *
 * @param roots OIDs of tables
 */
export async function readUnreadable(session: Session, roots: readonly number[]): Promise<Unreadable[]> {
  return session.query<Unreadable & Record<string, unknown>>(
    `WITH RECURSIVE tree AS (
       SELECT root.oid AS root, root.oid FROM unnest($1::oid[]) AS root(oid)
       UNION SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
     )
     SELECT t.root, n.nspname AS schema, c.relname AS name
       FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relpersistence <> 't' AND (c.relkind <> 'p' OR c.oid = t.root)
        AND (NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT') AND EXISTS (
          SELECT FROM pg_catalog.pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')))
      ORDER BY n.nspname, c.relname`,
    [roots],
  );
}
