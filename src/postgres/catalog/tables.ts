import type { TableName } from '../../contract/table-name.ts';
import type { Session } from '../session.ts';
import { isSayable, shownName } from './shown-name.ts';

export interface ListedTable extends TableName {
  readonly oid: number;
  /** False if schema or name have bytes that are no characters of UTF-8, here written as `\\344`: no statement can name it. */
  readonly isSayable: boolean;
  /** Size on disk, including TOAST and partitions. */
  readonly bytes: number;
}

/**
 * Lists every table of the database except partitions and inheritance children, whose rows come with those of
 * their parent.
 *
 * The size of a table that somebody has locked cannot be read, so for these it is taken from the statistics.
 */
export async function listTables(session: Session): Promise<ListedTable[]> {
  return session.query<ListedTable & Record<string, unknown>>(
    `WITH RECURSIVE root AS (
       SELECT c.oid, ${shownName('n.nspname')} AS schema, ${shownName('c.relname')} AS name,
              ${isSayable('n.nspname')} AND ${isSayable('c.relname')} AS sayable
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
          AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE i.inhrelid = c.oid)
     ), tree AS (
       SELECT oid AS root, oid FROM root
       UNION SELECT t.root, i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
     ), locked AS (
       SELECT relation AS oid FROM pg_catalog.pg_locks
        WHERE locktype = 'relation' AND mode = 'AccessExclusiveLock' AND granted
          AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
     ), size AS (
       SELECT t.root, sum(CASE WHEN t.oid IN (SELECT oid FROM locked)
                               THEN greatest(c.relpages, 0)::bigint * current_setting('block_size')::int
                               ELSE pg_table_size(t.oid) END)::float8 AS bytes
         FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid GROUP BY t.root
     )
     SELECT r.oid, r.schema, r.name, r.sayable AS "isSayable", coalesce(s.bytes, 0) AS bytes FROM root r JOIN size s ON s.root = r.oid`,
  );
}
