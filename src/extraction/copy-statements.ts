import { isSent, type ExtractionPlan } from '../bronze/plan.ts';
import type { TableName } from '../contract/table-name.ts';
import { quoteName, quoteTable } from '../postgres/identifiers.ts';
import type { ChunkRange } from './chunk-ranges.ts';
import { keyConditions } from './key-range.ts';
import { selectExpression } from './select-expression.ts';

/** The statement that reads a chunk on the source. A partition goes by the name of its table, which `where` may use. */
export function copyOut(plan: ExtractionPlan, range: ChunkRange): string {
  const columns = plan.columns.filter(isSent).map(selectExpression).join(', ');
  return `COPY (SELECT ${columns} ${fromChunk(plan, range)}) TO STDOUT (FORMAT ${plan.format})`;
}

/** `FROM … WHERE …` of the rows of a chunk. */
export function fromChunk(plan: ExtractionPlan, range: ChunkRange): string {
  const conditions = [...rangeConditions(range), ...(plan.where === null ? [] : [`(${plan.where})`])];
  const where = conditions.length === 0 ? '' : ` WHERE ${conditions.join(' AND ')}`;
  return `FROM ONLY ${quoteTable(range.partition)} AS ${quoteName(plan.table.name)}${where}`;
}

/** The statement that writes a chunk into its staging table. */
export function copyIn(plan: ExtractionPlan, staging: TableName): string {
  const columns = plan.columns
    .filter(isSent)
    .map(({ name }) => quoteName(name))
    .join(', ');
  const list = columns === '' ? '' : ` (${columns})`;
  return `COPY ${quoteTable(staging)}${list} FROM STDIN (FORMAT ${plan.format})`;
}

function rangeConditions({ fromBlock, toBlock, whole, key }: ChunkRange): string[] {
  if (key !== undefined) return keyConditions(key);
  if (whole) return [];
  const from = `ctid >= '(${fromBlock},0)'::tid`;
  return toBlock === undefined ? [from] : [from, `ctid < '(${toBlock},0)'::tid`];
}
