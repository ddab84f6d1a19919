import type { Session } from '../session.ts';
import { isNotValidated } from './not-validated.ts';
import type { Table } from './table.ts';

export interface Column {
  readonly name: string;
  readonly typeOid: number;
  /** Type with its modifier, as `format_type` writes it: `numeric(10,2)`, `character varying(10)[]`. */
  readonly type: string;
  /** False if the table itself has no row with NULL in it; a table that inherits from it may have some. */
  readonly nullable: boolean;
  /** Null if the column was dropped after the snapshot of the transaction: privileges are checked as of now. */
  readonly readable: boolean | null;
}

/** A type of the source, with what decides how its values are copied to another database. */
export interface SourceType {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: 'base' | 'composite' | 'domain' | 'enum' | 'range' | 'multirange' | 'pseudo';
  /** Element type of an array, else 0. */
  readonly elementOid: number;
  /** Base type of a domain, else 0. */
  readonly baseOid: number;
  /** Base type of a domain with its modifier, `numeric(10,2)`, else null. */
  readonly baseType: string | null;
  readonly extension: string | null;
  /** True if it comes with the server, so that its OID is the same in every database. */
  readonly builtIn: boolean;
  readonly hasBinaryFormat: boolean;
}

export async function readColumns(session: Session, table: Pick<Table, 'oid'>): Promise<Column[]> {
  return (await readColumnsOf(session, [table.oid])).get(table.oid) ?? [];
}

/** Reads columns by table OID; a table without columns is left out. */
export async function readColumnsOf(
  session: Session,
  tables: readonly number[],
): Promise<ReadonlyMap<number, Column[]>> {
  const columns = await session.query<Column & { table: number } & Record<string, unknown>>(
    `SELECT a.attrelid AS table, a.attname AS name, a.atttypid AS "typeOid", format_type(a.atttypid, a.atttypmod) AS type,
            NOT a.attnotnull OR (SELECT n.oid FROM pg_catalog.pg_constraint n WHERE ${isNotValidated('n', 'a')}) IS NOT NULL AS nullable,
            has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable
       FROM pg_catalog.pg_attribute a
      WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
      ORDER BY a.attrelid, a.attnum`,
    [tables],
  );
  return groupedBy(columns, ({ table, ...column }) => [table, column]);
}

/** Groups rows by key, keeping their order. */
function groupedBy<Row, Value>(
  rows: readonly Row[],
  split: (row: Row) => readonly [number, Value],
): Map<number, Value[]> {
  const groups = new Map<number, Value[]>();
  for (const [key, value] of rows.map(split)) {
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return groups;
}

/** Reads the types of a table's columns and all types that they are made of. */
export async function readTypes(
  session: Session,
  table: Pick<Table, 'oid'>,
): Promise<ReadonlyMap<number, SourceType>> {
  return (await readTypesOf(session, [table.oid])).get(table.oid) ?? new Map();
}

const MULTIRANGES_SINCE = 14;

/**
 * Reads the types of several tables, by table OID and then by type OID.
 *
 * Looks them up by an array, or one by one (OFFSET 0): a join with the recursive query, whose size is unknown, would read
 * all types.
 */
export async function readTypesOf(
  session: Session,
  tables: readonly number[],
): Promise<ReadonlyMap<number, ReadonlyMap<number, SourceType>>> {
  const isOfRange =
    session.majorVersion < MULTIRANGES_SINCE
      ? 'r.rngtypid = t.oid'
      : 't.oid IN (r.rngtypid, r.rngmultitypid)';
  const types = await session.query<SourceType & { tables: number[] } & Record<string, unknown>>(
    `WITH RECURSIVE involved AS (
       SELECT a.attrelid AS table, a.atttypid AS oid FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
       UNION
       SELECT i.table, made_of.oid
         FROM involved i CROSS JOIN LATERAL (SELECT t.* FROM pg_catalog.pg_type t WHERE t.oid = i.oid OFFSET 0) AS t
         CROSS JOIN LATERAL (VALUES (t.typelem), (t.typbasetype),
           (CASE WHEN t.typtype IN ('r', 'm') THEN (SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE ${isOfRange}) END)
         ) AS made_of(oid)
        WHERE made_of.oid <> 0
     )
     SELECT ARRAY(SELECT i.table FROM involved i WHERE i.oid = t.oid) AS tables,
            t.oid, n.nspname AS schema, t.typname AS name,
            CASE t.typtype WHEN 'b' THEN 'base' WHEN 'c' THEN 'composite' WHEN 'd' THEN 'domain' WHEN 'e' THEN 'enum'
                           WHEN 'r' THEN 'range' WHEN 'm' THEN 'multirange' ELSE 'pseudo' END AS kind,
            CASE WHEN t.typinput = 'pg_catalog.array_in'::regproc THEN t.typelem ELSE 0 END AS "elementOid",
            t.typbasetype AS "baseOid",
            CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END AS "baseType",
            (SELECT e.extname FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
              WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid
                AND d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e') AS extension,
            t.oid < 16384 AND n.nspname = 'pg_catalog' AS "builtIn",
            t.typsend <> 0 AND t.typreceive <> 0 AS "hasBinaryFormat"
       FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
      WHERE t.oid = ANY (ARRAY(SELECT oid FROM involved))`,
    [tables],
  );
  const uses = types.flatMap(({ tables: users, ...type }) => users.map((table) => [table, type] as const));
  const byTable = groupedBy(uses, (use) => use);
  return new Map([...byTable].map(([table, used]) => [table, new Map(used.map((type) => [type.oid, type]))]));
}

/** Returns the labels of enums in their order, as one text. */
export async function readEnumLabels(session: Session, types: readonly number[]): Promise<string> {
  const { labels } = await session.one<{ labels: string | null }>(
    `SELECT string_agg(concat_ws(' ', enumtypid, enumsortorder, enumlabel), ',' ORDER BY enumtypid, enumsortorder) AS labels
       FROM pg_catalog.pg_enum WHERE enumtypid = ANY ($1::oid[])`,
    [types],
  );
  return labels ?? '';
}
