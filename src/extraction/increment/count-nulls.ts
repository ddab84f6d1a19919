import type { Partition } from '../../postgres/catalog/partitions.ts';
import type { Cursor } from '../../postgres/cursor.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import { askPartitions, BY_BOUNDS } from './ask-partitions.ts';
import { mayBeNull } from './null-values.ts';
import type { IncrementalContext } from './plan-increment.ts';

/** Counting further would cost more than the figure is worth. */
const MOST = 1_000_000;

/** Counts rows that no increment reads because their cursor is NULL. Cheap with an index on the cursor. */
export async function countNullCursors(context: IncrementalContext, { column }: Cursor): Promise<number> {
  const { source, table, columns, input } = context;
  const found = columns.find(({ name }) => name === column);
  if (found !== undefined && !mayBeNull(found, context)) return 0;
  const { where } = input;
  const condition = where === undefined ? '' : ` AND (${where})`;
  let nulls = 0;
  const count = async (partitions: readonly Partition[]) => {
    const left = MOST - nulls;
    // with a limit of its own, each is planned on its own, where its bounds can exclude it
    const each = partitions.map(
      (partition) => `(SELECT FROM ONLY ${quoteTable(partition)} AS ${quoteName(table.name)}
                        WHERE ${quoteName(column)} IS NULL${condition} LIMIT ${left})`,
    );
    const row = await source.one<{ count: string }>(
      `SELECT pg_catalog.count(*) FROM (SELECT FROM (${each.join(' UNION ALL ')}) AS found LIMIT ${left}) AS nulls`,
    );
    nulls += Number(row.count);
    return nulls >= MOST;
  };
  await askPartitions(source, { ...context, where }, count, BY_BOUNDS);
  return nulls;
}
