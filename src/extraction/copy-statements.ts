import type { ExtractionPlan, PlannedColumn } from '../bronze/plan.ts';
import type { TableName } from '../contract/table-name.ts';
import { quoteName, quoteTable } from '../postgres/identifiers.ts';
import type { ChunkRange } from './chunk-ranges.ts';

/** The statement that reads a chunk on the source. A partition goes by the name of its table, which `where` may use. */
export function copyOut(plan: ExtractionPlan, range: ChunkRange): string {
  const columns = plan.columns.map(selectExpression).join(', ');
  const conditions = [...blockConditions(range), ...(plan.where === null ? [] : [`(${plan.where})`])];
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  const from = `ONLY ${quoteTable(range.partition)} AS ${quoteName(plan.table.name)}`;
  return `COPY (SELECT ${columns} FROM ${from}${where}) TO STDOUT (FORMAT ${plan.format})`;
}

/** The statement that writes a chunk into its staging table. */
export function copyIn(plan: ExtractionPlan, staging: TableName): string {
  const columns = plan.columns.map(({ name }) => quoteName(name)).join(', ');
  const list = columns === '' ? '' : ` (${columns})`;
  return `COPY ${quoteTable(staging)}${list} FROM STDIN (FORMAT ${plan.format})`;
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
