import type { Session } from '../session.ts';
import type { Table } from './table.ts';

/** Returns the columns of a table's primary key in key order; empty if it has none. */
export async function readPrimaryKey(session: Session, table: Pick<Table, 'oid'>): Promise<string[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT a.attname AS name
       FROM pg_catalog.pg_index i
       CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, position)
       JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
      WHERE i.indrelid = $1 AND i.indisprimary AND k.position <= i.indnkeyatts
      ORDER BY k.position`,
    [table.oid],
  );
  return rows.map(({ name }) => name);
}
