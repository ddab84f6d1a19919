import type { Session } from '../session.ts';
import type { Table } from './table.ts';

/**
 * Returns true if inserted rows get their values of a column from a sequence, each greater than all before.
 *
 * That is so if the column is an identity or its default is just `nextval`, of a single sequence that counts up
 * without cycling or caching. An inserting session has locked the table before it takes a value. About values that
 * are given explicitly the catalog says nothing.
 *
 * @param related partitions of the table and tables that it is a partition of: none may have a sequence of its own
 */
export async function isFromSequence(
  session: Session,
  table: Pick<Table, 'oid'>,
  related: readonly number[],
  column: string,
): Promise<boolean> {
  const { found } = await session.one<{ found: boolean }>(
    `SELECT coalesce(count(DISTINCT s.seqrelid) = 1
              AND bool_and(s.seqincrement > 0 AND NOT s.seqcycle AND s.seqcache = 1)
              AND bool_or(a.attrelid = $1 AND (a.attidentity <> '' OR s.seqrelid IS NOT NULL)), false) AS found
       FROM pg_catalog.pg_attribute a
       LEFT JOIN LATERAL (${SEQUENCES_OF_COLUMN}) s ON true
      WHERE a.attrelid = ANY ($2::oid[]) AND a.attname = $3`,
    [table.oid, [table.oid, ...related], column],
  );
  return found;
}

/** Sequences of the column `a`. With 0 in place of the table's OID, reading the default locks no table. */
const SEQUENCES_OF_COLUMN = `
  SELECT i.* FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_sequence i ON i.seqrelid = d.objid
   WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'i'
     AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
  UNION ALL
  SELECT n.* FROM pg_catalog.pg_attrdef f
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.objid = f.oid
     AND d.refclassid = 'pg_catalog.pg_class'::regclass
    JOIN pg_catalog.pg_sequence n ON n.seqrelid = d.refobjid
   WHERE f.adrelid = a.attrelid AND f.adnum = a.attnum
     -- only then it is no generated column, whose expression cannot be read without its table
     AND CASE WHEN n.seqrelid = d.refobjid
              THEN pg_get_expr(f.adbin, 0) = format('nextval(%L::regclass)', n.seqrelid::regclass) END`;
