import type { TableName } from '../../contract/table-name.ts';
import type { Session } from '../session.ts';

/** Returns those of a table and its descendants that a session has locked so that nobody else can read them. */
export async function readLocked(session: Session, table: TableName): Promise<TableName[]> {
  return session.query<TableName & Record<string, unknown>>(
    `WITH RECURSIVE tree AS (
       SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relname = $2
       UNION SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
     )
     SELECT n.nspname AS schema, c.relname AS name
       FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE EXISTS (SELECT FROM pg_catalog.pg_locks l
                     WHERE l.locktype = 'relation' AND l.relation = c.oid AND l.granted AND l.mode = 'AccessExclusiveLock'
                       AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))
      ORDER BY 1, 2`,
    [table.schema, table.name],
  );
}
