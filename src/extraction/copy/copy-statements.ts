import { isSent, type ExtractionPlan, type PlannedColumn } from '../../bronze/plan.ts';
import type { TableName } from '../../contract/table-name.ts';
import { stagingKeys } from '../../bronze/bookkeeping/plans.ts';
import { cursorConditions } from '../../postgres/cursor.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { ChunkRange } from '../plan/chunk-ranges.ts';
import { keyConditions } from '../plan/key-range.ts';
import { selectExpression } from './select-expression.ts';

/** Returns the statement that reads a chunk. A partition has its table's name as alias, which `where` may use. */
export function copyOut(plan: ExtractionPlan, range: ChunkRange): string {
  return `COPY (${selectChunk(plan, range)}) TO STDOUT (FORMAT ${plan.format})`;
}

export function selectChunk(plan: ExtractionPlan, range: ChunkRange): string {
  const columns = columnsOfChunk(plan, range).map(selectExpression).join(', ');
  return `SELECT ${columns} ${fromChunk(plan, range)}`;
}

/** Returns `FROM … WHERE …` for the rows of a chunk. */
export function fromChunk(plan: ExtractionPlan, range: ChunkRange): string {
  const conditions = [
    ...rangeConditions(range),
    ...(range.partition.filter === undefined ? [] : [`(${range.partition.filter})`]),
    ...incrementConditions(plan, range),
    ...(plan.where === null ? [] : [`(${plan.where})`]),
  ];
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  return `FROM ONLY ${quoteTable(range.partition)} AS ${quoteName(plan.table.name)}${where}`;
}

function incrementConditions({ incremental }: ExtractionPlan, { keysOnly }: ChunkRange): string[] {
  if (incremental === undefined || keysOnly === true) return [];
  return cursorConditions(incremental.cursor, incremental.range);
}

/** Returns the statement that writes a chunk to its staging table. */
export function copyIn(
  plan: ExtractionPlan,
  staging: TableName,
  range: Pick<ChunkRange, 'keysOnly'> = {},
): string {
  const columns = columnsOfChunk(plan, range)
    .map(({ name }) => quoteName(name))
    .join(', ');
  const list = columns === '' ? '' : ` (${columns})`;
  return `COPY ${quoteTable(range.keysOnly === true ? stagingKeys(staging) : staging)}${list} FROM STDIN (FORMAT ${plan.format})`;
}

function columnsOfChunk(
  { columns, incremental }: ExtractionPlan,
  { keysOnly }: Pick<ChunkRange, 'keysOnly'>,
): readonly PlannedColumn[] {
  const sent = columns.filter(isSent);
  return keysOnly === true ? sent.filter(({ name }) => incremental?.key.includes(name)) : sent;
}

function rangeConditions({ fromBlock, toBlock, whole, key }: ChunkRange): string[] {
  if (key !== undefined) return keyConditions(key);
  if (whole) return [];
  const from = `ctid >= '(${fromBlock},0)'::tid`;
  return toBlock === undefined ? [from] : [from, `ctid < '(${toBlock},0)'::tid`];
}
