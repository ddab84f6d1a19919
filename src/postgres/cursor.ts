import type { TableName } from '../contract/table-name.ts';
import { quoteName, quoteTable, quoteText } from './identifiers.ts';

/** Types that sort the same on every server and can be written as a checkpoint. */
const sqlTypes = {
  timestamptz: 'timestamp with time zone',
  timestamp: 'timestamp without time zone',
  date: 'date',
  smallint: 'smallint',
  integer: 'integer',
  bigint: 'bigint',
  numeric: 'numeric',
  text: 'text',
  uuid: 'uuid',
} as const;

export type CursorKind = keyof typeof sqlTypes;

const kinds = Object.keys(sqlTypes).filter((name): name is CursorKind => name in sqlTypes);

/** The column that says how new a row is. */
export interface Cursor {
  readonly column: string;
  readonly kind: CursorKind;
  /** True if the source itself orders the column byte by byte, so that an index on it can be used as it is. */
  readonly bytewise: boolean;
}

/** Returns the kind of cursor that a column can be, by its type as `format_type` writes it. */
export function cursorKind(type: string): CursorKind | undefined {
  const bare = type.replace(/\(\d+(,-?\d+)?\)/, '');
  return bare === 'character varying' ? 'text' : kinds.find((kind) => sqlTypes[kind] === bare);
}

export const isTime = (kind: CursorKind): boolean => ['timestamptz', 'timestamp', 'date'].includes(kind);
export const isNumber = (kind: CursorKind): boolean =>
  ['smallint', 'integer', 'bigint', 'numeric'].includes(kind);

export const sqlTypeOf = ({ kind }: Pick<Cursor, 'kind'>): string => sqlTypes[kind];

/** Returns a cursor value as a literal of the column's type, so that an index on it can be used. */
export const cursorLiteral = (cursor: Cursor, value: string): string =>
  `${quoteText(value)}::${sqlTypes[cursor.kind]}`;

/** PostgreSQL's own operators, even if a user-defined one fits the column's type better. */
const AT_LEAST = 'OPERATOR(pg_catalog.>=)';
const BELOW = 'OPERATOR(pg_catalog.<)';
const ABOVE = 'OPERATOR(pg_catalog.>)';

/** Returns the column as it is compared: text byte by byte, since collations differ between servers. */
export function cursorOperand({ column, kind, bytewise }: Cursor): string {
  return kind === 'text' && !bytewise ? `${quoteName(column)} COLLATE "C"` : quoteName(column);
}

/**
 * Returns a query for the greatest value of some tables that can be a checkpoint: one column, at most one row. Each table
 * is asked for its own, which an index yields at once.
 *
 * The column is qualified: if it is called `greatest`, ORDER BY with its bare name would sort by the selected name.
 */
export function greatestValue(
  cursor: Cursor,
  tables: readonly TableName[],
  conditions: readonly string[] = [],
): string {
  const where = [finiteCondition(cursor), ...conditions].join(' AND ');
  const each = tables.map(
    (table) => `(SELECT c.${quoteName(cursor.column)} AS greatest FROM ONLY ${quoteTable(table)} AS c
           WHERE ${where} ORDER BY c.${cursorOperand(cursor)} DESC LIMIT 1)`,
  );
  return `SELECT e.greatest::text FROM (${each.join(' UNION ALL ')}) AS e
           ORDER BY e.${cursorOperand({ ...cursor, column: 'greatest' })} DESC LIMIT 1`;
}

/** Returns SQL that is true for rows whose cursor is greater than a value. */
export const isGreater = (cursor: Cursor, value: string): string =>
  `${cursorOperand(cursor)} ${ABOVE} ${cursorLiteral(cursor, value)}`;

/** Returns the cursor as it is in the warehouse, whose own order is not known. */
export const inWarehouse = (cursor: Cursor): Cursor => ({ ...cursor, bytewise: false });

/** The range of cursor values that a run reads; null means unbounded. */
export interface CursorRange {
  /** Inclusive: rows that share the checkpoint's value may have arrived after it. */
  readonly from: string | null;
  /** Exclusive. */
  readonly to: string | null;
}

export function cursorConditions(cursor: Cursor, { from, to }: CursorRange): string[] {
  const operand = cursorOperand(cursor);
  return [
    ...(from === null ? [] : [`${operand} ${AT_LEAST} ${cursorLiteral(cursor, from)}`]),
    ...(to === null ? [] : [`${operand} ${BELOW} ${cursorLiteral(cursor, to)}`]),
  ];
}

/**
 * Returns SQL that is true for values that can become a checkpoint. `infinity` or NaN would end all progress.
 *
 * `scale` is null for NaN and the infinities of numeric, and can be used on servers that lack these infinities.
 */
function finiteCondition({ column, kind }: Cursor): string {
  const name = quoteName(column);
  if (isTime(kind)) return `pg_catalog.isfinite(${name})`;
  return kind === 'numeric' ? `pg_catalog.scale(${name}) IS NOT NULL` : `${name} IS NOT NULL`;
}
