import { formatCount, formatDuration } from '../src/contract/quantities.ts';
import { loadDemoData } from './data/load-demo-data.ts';
import type { Screen } from './terminal/screen.ts';

/** Loads the data, showing the progress of each table. */
export async function load(sourceUrl: string, screen: Screen): Promise<void> {
  const began = performance.now();
  const tables = new Map<string, number>();
  const lines = () =>
    [...tables].map(([table, rows]) => `  ${table.padEnd(12)} ${formatCount(rows).padStart(9)} rows`);
  await loadDemoData(sourceUrl, (table, rows) => {
    tables.set(table, rows);
    screen.draw(lines());
  });
  screen.conclude(lines());
  screen.print(`  in ${formatDuration(performance.now() - began)}`);
}
