import { formatCount } from '../src/contract/quantities.ts';
import type { LocalStack } from '../local/stack.ts';
import { compareTable, type Comparison } from './equality.ts';
import type { RunView } from './run-view.ts';
import type { Screen } from './terminal/screen.ts';
import { withClient } from './with-client.ts';

/** Has both servers compute the fingerprint of each table, and prints the comparison. */
export async function prove(stack: LocalStack, views: readonly RunView[], screen: Screen): Promise<boolean> {
  const comparisons = await withClient(stack.sourceUrl, (source) =>
    withClient(stack.warehouseUrl, async (warehouse) => {
      const done: Comparison[] = [];
      for (const { ending } of views) {
        if (ending?.kind !== 'finished') continue;
        const comparison = await compareTable(source, warehouse, ending.result.table, ending.result.target);
        screen.print(verdict(comparison, screen));
        done.push(comparison);
      }
      return done;
    }),
  );
  return comparisons.length > 0 && comparisons.every(({ equal }) => equal);
}

function verdict({ table, source, bronze, equal }: Comparison, { paint }: Screen): string {
  const name = `  ${table.padEnd(20)}`;
  if (!equal) {
    const sides = `source ${source.rows} rows, ${source.checksum}; bronze ${bronze.rows} rows, ${bronze.checksum}`;
    return paint('red', `${name} DIFFERENT: ${sides}`);
  }
  return `${name} ${paint('green', 'equal by value')}  ${formatCount(Number(source.rows)).padStart(9)} rows  ${paint('dim', `checksum ${source.checksum}`)}`;
}
