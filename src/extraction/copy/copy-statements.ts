import { isSent, partitionLabel, type ExtractionPlan, type PlannedColumn } from '../../bronze/plan.ts';
import type { TableName } from '../../contract/table-name.ts';
import { cursorConditions } from '../../postgres/cursor.ts';
import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { ChunkRange } from '../plan/chunk-ranges.ts';
import { keyConditions } from '../plan/key-range.ts';
import { selectExpression } from './select-expression.ts';

/** Returns the statement that reads ranges. A partition has its table's name as alias, which `where` may use. */
export function copyOut(plan: ExtractionPlan, ...ranges: readonly ChunkRange[]): string {
  const rows = ranges.map((range) => selectChunk(plan, range)).join(' UNION ALL ');
  return `COPY (${rows}) TO STDOUT (FORMAT ${plan.format})`;
}

export function selectChunk(plan: ExtractionPlan, range: ChunkRange): string {
  const columns = sentColumns(plan).map((column) =>
    isSent(column) ? selectExpression(column) : quoteText(partitionLabel(plan, range.partition)),
  );
  return `SELECT ${columns.join(', ')} ${fromChunk(plan, range)}`;
}

/** COPY fills columns that it does not name, but cannot name none: the partition is sent with rows that have nothing else. */
function sentColumns({ columns }: ExtractionPlan): readonly PlannedColumn[] {
  const sent = columns.filter(isSent);
  return sent.length === 0 ? columns : sent;
}

/** Returns `FROM … WHERE …` for the rows of a chunk. */
export function fromChunk({ table, where, incremental }: ExtractionPlan, range: ChunkRange): string {
  const conditions = [
    ...rangeConditions(range),
    ...(range.partition.filter === undefined ? [] : [`(${range.partition.filter})`]),
    ...(incremental === undefined ? [] : cursorConditions(incremental.cursor, incremental.range)),
    ...(where === null ? [] : [`(${where})`]),
  ];
  const only = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  return `FROM ONLY ${quoteTable(range.partition)} AS ${quoteName(table.name)}${only}`;
}

/** Returns the statement that writes what {@link copyOut} reads to a staging table. */
export function copyIn(plan: ExtractionPlan, staging: TableName): string {
  const names = sentColumns(plan).map(({ name }) => quoteName(name));
  const list = names.length === 0 ? '' : ` (${names.join(', ')})`;
  return `COPY ${quoteTable(staging)}${list} FROM STDIN (FORMAT ${plan.format})`;
}

function rangeConditions({ fromBlock, toBlock, whole, key }: ChunkRange): string[] {
  if (key !== undefined) return keyConditions(key);
  if (whole) return [];
  const from = `ctid >= '(${fromBlock},0)'::tid`;
  return toBlock === undefined ? [from] : [from, `ctid < '(${toBlock},0)'::tid`];
}
