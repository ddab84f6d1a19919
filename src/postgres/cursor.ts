import type { TableName } from '../contract/table-name.ts';
import { quoteName, quoteTable, quoteText } from './identifiers.ts';

/** The types whose order is the same on every server, and that a checkpoint can be written in. */
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

const kinds: readonly CursorKind[] = [
  'timestamptz',
  'timestamp',
  'date',
  'smallint',
  'integer',
  'bigint',
  'numeric',
  'text',
  'uuid',
];

/** The column that says how new a row is. */
export interface Cursor {
  readonly column: string;
  readonly kind: CursorKind;
  /** Whether the source orders the column byte by byte by itself, so that an index on it can be used as it is. */
  readonly bytewise: boolean;
}

/** The kind of cursor that a column of a type, as `format_type` writes it, can be. */
export function cursorKind(type: string): CursorKind | undefined {
  const bare = type.replace(/\(\d+(,-?\d+)?\)/, '');
  return bare === 'character varying' ? 'text' : kinds.find((kind) => sqlTypes[kind] === bare);
}

export const isTime = (kind: CursorKind): boolean => ['timestamptz', 'timestamp', 'date'].includes(kind);
export const isNumber = (kind: CursorKind): boolean =>
  ['smallint', 'integer', 'bigint', 'numeric'].includes(kind);

export const sqlTypeOf = ({ kind }: Pick<Cursor, 'kind'>): string => sqlTypes[kind];

/** A value of the cursor, in the type of the column, so that an index on it can be used. */
export const cursorLiteral = (cursor: Cursor, value: string): string =>
  `${quoteText(value)}::${sqlTypes[cursor.kind]}`;

/** Of PostgreSQL itself, though an operator of somebody else may fit the type of the column better. */
const AT_LEAST = 'OPERATOR(pg_catalog.>=)';
const BELOW = 'OPERATOR(pg_catalog.<)';

/** The column as it is compared: texts by their bytes, since collations differ between servers. */
export function cursorOperand({ column, kind, bytewise }: Cursor): string {
  return kind === 'text' && !bytewise ? `${quoteName(column)} COLLATE "C"` : quoteName(column);
}

/**
 * The greatest value of a table that can be a checkpoint, as a query of one column and at most one row.
 *
 * The column is qualified: by its bare name ORDER BY would take the text that is selected.
 */
export function greatestValue(cursor: Cursor, table: TableName, conditions: readonly string[] = []): string {
  const where = [finiteCondition(cursor), ...conditions].join(' AND ');
  return `SELECT c.${quoteName(cursor.column)}::text AS greatest FROM ${quoteTable(table)} AS c
           WHERE ${where} ORDER BY c.${cursorOperand(cursor)} DESC LIMIT 1`;
}

/** The same in the warehouse, whose own order is not known. */
export const inWarehouse = (cursor: Cursor): Cursor => ({ ...cursor, bytewise: false });

/** The rows that a run is to read; null is no bound. */
export interface CursorRange {
  /** Included: rows that share the checkpoint's value may have come after it. */
  readonly from: string | null;
  /** Not included. */
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
 * Whether a value can become a checkpoint. `infinity`, or NaN, would end all progress.
 *
 * `scale` is null for NaN and the infinities of numeric, on servers that have them and on those that have not.
 */
function finiteCondition({ column, kind }: Cursor): string {
  const name = quoteName(column);
  if (isTime(kind)) return `pg_catalog.isfinite(${name})`;
  return kind === 'numeric' ? `pg_catalog.scale(${name}) IS NOT NULL` : `${name} IS NOT NULL`;
}
