import type { ExtractionPlan, PlannedColumn } from '../bronze/plan.ts';
import type { TableName } from '../contract/table-name.ts';
import { stagingKeys } from '../bronze/plans.ts';
import { cursorConditions } from '../postgres/cursor.ts';
import { quoteName, quoteTable } from '../postgres/identifiers.ts';
import type { ChunkRange } from './chunk-ranges.ts';

/** The statement that reads a chunk on the source. A partition goes by the name of its table, which `where` may use. */
export function copyOut(plan: ExtractionPlan, range: ChunkRange): string {
  return `COPY (${selectChunk(plan, range)}) TO STDOUT (FORMAT ${plan.format})`;
}

export function selectChunk(plan: ExtractionPlan, range: ChunkRange): string {
  const columns = columnsOfChunk(plan, range).map(selectExpression).join(', ');
  const { incremental } = plan;
  const ofCursor =
    incremental === undefined || range.keys === true
      ? []
      : cursorConditions(incremental.cursor, incremental.range);
  const conditions = [
    ...blockConditions(range),
    ...ofCursor,
    ...(plan.where === null ? [] : [`(${plan.where})`]),
  ];
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const from = `ONLY ${quoteTable(range.partition)} AS ${quoteName(plan.table.name)}`;
  return `SELECT ${columns} FROM ${from}${where}`;
}

/** The statement that writes a chunk into its staging table. */
export function copyIn(
  plan: ExtractionPlan,
  staging: TableName,
  range: Pick<ChunkRange, 'keys'> = {},
): string {
  const columns = columnsOfChunk(plan, range)
    .map(({ name }) => quoteName(name))
    .join(', ');
  const list = columns === '' ? '' : ` (${columns})`;
  return `COPY ${quoteTable(range.keys === true ? stagingKeys(staging) : staging)}${list} FROM STDIN (FORMAT ${plan.format})`;
}

function columnsOfChunk(
  { columns, incremental }: ExtractionPlan,
  { keys }: Pick<ChunkRange, 'keys'>,
): readonly PlannedColumn[] {
  return keys === true ? columns.filter(({ name }) => incremental?.key.includes(name)) : columns;
}

function selectExpression({ name, read, type }: PlannedColumn): string {
  const column = quoteName(name);
  switch (read) {
    case 'as is':
      return column;
    case 'cast':
      return `${column}::${type}`;
    case 'to_jsonb':
      return `to_jsonb(${column})`;
  }
}

function blockConditions({ fromBlock, toBlock, whole }: ChunkRange): string[] {
  if (whole) return [];
  const from = `ctid >= '(${fromBlock},0)'::tid`;
  return toBlock === undefined ? [from] : [from, `ctid < '(${toBlock},0)'::tid`];
}
