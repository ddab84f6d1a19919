import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Cursor } from '../../postgres/cursor.ts';
import { mayBeNull } from './null-values.ts';
import type { IncrementalContext } from './plan-increment.ts';

/** Counting further would cost more than the figure is worth. */
const MOST = 1_000_000;

/** Counts rows that no increment reads because their cursor is NULL. Cheap with an index on the cursor. */
export async function countNullCursors(context: IncrementalContext, { column }: Cursor): Promise<number> {
  const { source, table, columns, input } = context;
  const found = columns.find(({ name }) => name === column);
  if (found !== undefined && !mayBeNull(found, context)) return 0;
  const where = input.where === undefined ? '' : ` AND (${input.where})`;
  const nulls = `SELECT FROM ${quoteTable(table)} WHERE ${quoteName(column)} IS NULL${where} LIMIT ${MOST}`;
  const { count } = await source.withRolePath(async () =>
    source.one<{ count: string }>(`SELECT pg_catalog.count(*) FROM (${nulls}) AS nulls`),
  );
  return Number(count);
}
