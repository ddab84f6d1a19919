import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { TableName } from '../../contract/table-name.ts';
import { cursorConditions, cursorOperand, inWarehouse } from '../../postgres/cursor.ts';
import type { ColumnDefinition } from '../schema/bronze-table.ts';
import type { IncrementalPlan } from '../incremental-plan.ts';
import { equalityOf } from '../equality.ts';
import { DELETED_AT, LOADED_AT, PARTITION, type MetadataColumn } from '../layout.ts';

/** Where the rows of an increment come from and go to. */
export interface Move {
  readonly staging: TableName;
  /** The partition that has the rows of the bronze table. */
  readonly storage: TableName;
  /** The data columns that the run read, in the types of bronze. */
  readonly columns: readonly ColumnDefinition[];
  readonly metadata: readonly MetadataColumn[];
  /** Columns of bronze that have no value in a new version of a row. */
  readonly others: readonly string[];
}

/**
 * Returns the statement that moves staged rows into bronze. It returns how many were `added` and `replaced`; all
 * others are in bronze already.
 */
export function moveStatement(move: Move, plan: IncrementalPlan): string {
  if (plan.key.length === 0) return appendUnkeyed(move, plan);
  return plan.write === 'merge' ? merge(move, plan) : appendVersions(move, plan);
}

/**
 * Appends versions, except rows whose newest version in bronze has the same cursor value: those were read again. A
 * version that is marked as deleted counts for nothing: its row is back.
 */
function appendVersions(move: Move, { key, cursor }: IncrementalPlan): string {
  const column = quoteName(cursor.column);
  const sameKey = move.columns
    .filter(({ name }) => key.includes(name))
    .map(({ name, type }) => `b.${quoteName(name)} ${equalityOf(type)} s.${quoteName(name)}`)
    .join(' AND ');
  const found = marksDeleted(move) ? `b.${DELETED_AT.name} IS NULL` : 'true';
  return counted(`${insertInto(move)}
     SELECT ${selected(move)} FROM ${typed(move)} AS s
       LEFT JOIN LATERAL (SELECT b.${column} AS newest, ${found} AS found FROM ${quoteTable(move.storage)} AS b
                           WHERE ${sameKey} ORDER BY b.${LOADED_AT} DESC LIMIT 1) AS known ON true
      WHERE known.found IS NOT TRUE OR known.newest IS DISTINCT FROM s.${column}
     RETURNING true AS added`);
}

/**
 * Appends rows without a key, identified by all their values: of identical rows in the range that was read, only as
 * many as bronze lacks.
 */
function appendUnkeyed(move: Move, plan: IncrementalPlan): string {
  const whole = (table: string) =>
    `ROW(${move.columns.map(({ name }) => `${table}.${quoteName(name)}`).join(', ')})::text`;
  const all = quoteName(unusedName(move, '?whole'));
  const copy = quoteName(unusedName(move, '?copy'));
  const within = mayEqual(move, plan);
  const where = within.length === 0 ? '' : `WHERE ${within.join(' AND ')}`;
  return counted(`${insertInto(move)}
     SELECT ${selected(move)}
       FROM (SELECT t.*, ${whole('t')} AS ${all}, row_number() OVER (PARTITION BY ${whole('t')}) AS ${copy}
               FROM ${typed(move)} AS t) AS s
       LEFT JOIN (SELECT ${whole('b')} AS ${all}, count(*) AS copies
                    FROM ${quoteTable(move.storage)} AS b ${where} GROUP BY 1) AS known USING (${all})
      WHERE s.${copy} > coalesce(known.copies, 0)
     RETURNING true AS added`);
}

/** Returns a name that no column of the move has. */
const unusedName = (move: Move, name: string): string =>
  move.columns.some((column) => column.name === name) ? unusedName(move, `${name}?`) : name;

/**
 * Returns conditions, for which there is an index, on the rows of bronze that can equal a staged one. The bytes of a text
 * are ordered otherwise in another encoding, so its range in the source says nothing here.
 */
function mayEqual({ staging }: Move, plan: IncrementalPlan): string[] {
  const cursor = inWarehouse(plan.cursor);
  if (cursor.kind !== 'text') return cursorConditions(cursor, plan.range);
  return [`${cursorOperand(cursor)} IN (SELECT ${quoteName(cursor.column)} FROM ${quoteTable(staging)})`];
}

/** Merges rows, leaving unchanged ones alone: a lookback rewrites nothing. `*<>` compares any values byte by byte. */
function merge(move: Move, { key }: IncrementalPlan): string {
  const values = (table: string) =>
    `ROW(${move.columns.map(({ name }) => `${table}.${quoteName(name)}`).join(', ')})::record`;
  const sets = [
    ...[...move.columns, ...move.metadata].map(
      ({ name }) => `${quoteName(name)} = excluded.${quoteName(name)}`,
    ),
    ...move.others.map((name) => `${quoteName(name)} = DEFAULT`),
  ];
  const marked = marksDeleted(move) ? ` OR b.${DELETED_AT.name} IS NOT NULL` : '';
  // xmax is 0 in a new row only
  return counted(`${insertInto(move)}
     SELECT ${selected(move)} FROM ${typed(move)} AS s
     ON CONFLICT (${key.map(quoteName).join(', ')}) DO UPDATE SET ${sets.join(', ')}
      WHERE ${values('b')} OPERATOR(pg_catalog.*<>) ${values('excluded')}${marked}
     RETURNING b.xmax = 0 AS added`);
}

const marksDeleted = ({ others }: Move): boolean => others.includes(DELETED_AT.name);

const counted = (insert: string): string =>
  `WITH moved AS (${insert})
   SELECT count(*) FILTER (WHERE added) AS added, count(*) FILTER (WHERE NOT added) AS replaced FROM moved`;

/** Returns the statement that adds all staged rows but those of some partitions, whose labels are its parameter. */
export const addStatement = (move: Move): string =>
  `${insertInto(move)} SELECT ${selected(move)} FROM ${typed(move)} AS s WHERE s.${PARTITION} <> ALL ($1::text[])`;

function insertInto({ storage, columns, metadata }: Move): string {
  const names = [...columns, ...metadata].map(({ name }) => quoteName(name)).join(', ');
  return `INSERT INTO ${quoteTable(storage)} AS b (${names})`;
}

function selected({ columns, metadata }: Move): string {
  const constants = metadata.map(({ type, value }) =>
    value === null ? `NULL::${type}` : `${quoteText(value)}::${type}`,
  );
  return [...columns.map(({ name }) => `s.${quoteName(name)}`), ...constants].join(', ');
}

/** Selects the staged rows in the types of bronze, which may be wider. */
function typed({ staging, columns }: Move): string {
  const casts = columns.map(({ name, type }) => `${quoteName(name)}::${type} AS ${quoteName(name)}`);
  return `(SELECT ${casts.join(', ')} FROM ${quoteTable(staging)})`;
}
