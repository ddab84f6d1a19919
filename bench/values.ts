import { startStack } from '../local/stack.ts';
import type { ExtractTableRequest } from '../src/contract/extract-table.ts';
import { formatBytes } from '../src/contract/quantities.ts';
import { makeBenchTable } from './bench-table.ts';
import { compareRequests } from './compare-requests.ts';
import { execute } from './execute.ts';
import type { BenchOptions } from './options.ts';
import { say } from './say.ts';

/** `events_text` has an additional NULL column of a type that can only be copied as text, so all columns are. */
const variants: Readonly<Record<string, ExtractTableRequest>> = {
  'binary, rows counted': { table: 'events' },
  'binary, checksum': { table: 'events', verify: 'checksum' },
  'text, rows counted': { table: 'events_text' },
  'text, checksum': { table: 'events_text', verify: 'checksum' },
};

/** Measures the cost of checksum verification and of copying as text: the same rows each way, in turn. */
export async function benchValues({ rows = 1_000_000, rounds = 3 }: BenchOptions): Promise<void> {
  const stack = await startStack({ ui: false });
  try {
    const size = await makeBenchTable(stack.sourceUrl, rows);
    await makeTextTable(stack.sourceUrl);
    say(`events: ${rows.toLocaleString('en-US')} rows, ${formatBytes(size)}; median of ${rounds} rounds`);
    await compareRequests(stack, variants, rounds);
  } finally {
    await stack.close();
  }
}

async function makeTextTable(url: string): Promise<void> {
  await execute(url, 'CREATE TABLE events_text AS SELECT *, NULL::tsquery AS only_text FROM events');
  await execute(url, 'VACUUM (ANALYZE) events_text');
}
