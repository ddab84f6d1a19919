import type { TableName } from '../../contract/table-name.ts';
import type { Session } from '../session.ts';

/** The first version with columns that are computed when they are read. */
const VIRTUAL_SINCE = 18;

/** A virtual column of a partition that is computed by another expression than that of its table. */
export interface OtherExpression extends TableName {
  readonly column: string;
}

/** A query of the table computes what its own expression says, for the rows of all partitions. */
export async function findOtherExpressions(
  session: Session,
  table: number,
  partitions: readonly number[],
): Promise<OtherExpression[]> {
  if (session.majorVersion < VIRTUAL_SINCE) return [];
  return session.query<OtherExpression & Record<string, unknown>>(
    `SELECT a.attname AS column, n.nspname AS schema, c.relname AS name
       FROM pg_catalog.pg_attribute r
       JOIN pg_catalog.pg_attrdef w ON w.adrelid = r.attrelid AND w.adnum = r.attnum
       JOIN pg_catalog.pg_attribute a ON a.attname = r.attname AND a.attgenerated = 'v' AND a.attrelid = ANY ($2::oid[])
       JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
       JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE r.attrelid = $1 AND r.attgenerated = 'v'
        AND pg_get_expr(d.adbin, d.adrelid) IS DISTINCT FROM pg_get_expr(w.adbin, w.adrelid)
      ORDER BY r.attnum, n.nspname, c.relname`,
    [table, partitions],
  );
}
