import type { Session } from '../session.ts';
import type { Table } from './table.ts';

export interface CursorColumnFacts {
  /** True if the server orders the column byte by byte. */
  readonly bytewise: boolean;
  /** True if a B-tree index begins with it, so that its greatest value is found at once. */
  readonly indexed: boolean;
  /** OID of the database that the table is in. */
  readonly database: number;
}

export async function readCursorColumn(
  session: Session,
  table: Pick<Table, 'oid'>,
  column: string,
): Promise<CursorColumnFacts> {
  return session.one<CursorColumnFacts & Record<string, unknown>>(
    // ICU sorts by language whatever LC_COLLATE says, and the builtin provider by bytes whatever its locale is
    `SELECT coalesce(CASE o.provider WHEN 'c' THEN o.locale IN ('C', 'POSIX') ELSE o.provider = 'b' END, false) AS bytewise,
            EXISTS (SELECT FROM pg_catalog.pg_index i
                      JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
                      JOIN pg_catalog.pg_am m ON m.oid = x.relam
                     WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum AND i.indpred IS NULL
                       AND i.indisvalid AND m.amname = 'btree') AS indexed,
            d.oid AS database
       FROM pg_catalog.pg_attribute a
       JOIN pg_catalog.pg_database d ON d.datname = current_database()
       LEFT JOIN pg_catalog.pg_collation c ON c.oid = a.attcollation
       -- 'd' stands for what the database has; before PostgreSQL 15 that was always libc, and there was no column for it
       CROSS JOIN LATERAL (SELECT
         CASE c.collprovider WHEN 'd' THEN coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') ELSE c.collprovider::text END AS provider,
         CASE c.collprovider WHEN 'd' THEN d.datcollate::text ELSE c.collcollate::text END AS locale) o
      WHERE a.attrelid = $1 AND a.attname = $2`,
    [table.oid, column],
  );
}
