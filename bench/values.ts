import { startStack } from '../local/stack.ts';
import type { ExtractTableRequest } from '../src/contract/extract-table.ts';
import { formatBytes } from '../src/contract/quantities.ts';
import { makeBenchTable } from './bench-table.ts';
import { compareRequests } from './compare-requests.ts';
import { execute } from './execute.ts';
import { say } from './say.ts';

const ROWS = Number(process.env['BENCH_ROWS'] ?? 1_000_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);

/** `events_text` has one column more, which is NULL, of a type that crosses as text only, and so makes all of them. */
const variants: Readonly<Record<string, ExtractTableRequest>> = {
  'binary, rows counted': { table: 'events' },
  'binary, checksum': { table: 'events', verify: 'checksum' },
  'text, rows counted': { table: 'events_text' },
  'text, checksum': { table: 'events_text', verify: 'checksum' },
};

/** What it costs to verify by checksum, and to cross as text: the same rows in each way, in turn. */
export async function benchValues(): Promise<void> {
  const stack = await startStack({ ui: false });
  try {
    const size = await makeBenchTable(stack.sourceUrl, ROWS);
    await makeTextTable(stack.sourceUrl);
    say(`events: ${ROWS.toLocaleString('en-US')} rows, ${formatBytes(size)}; median of ${ROUNDS} rounds`);
    await compareRequests(stack, variants, ROUNDS);
  } finally {
    await stack.close();
  }
}

async function makeTextTable(url: string): Promise<void> {
  await execute(url, 'CREATE TABLE events_text AS SELECT *, NULL::tsquery AS only_text FROM events');
  await execute(url, 'VACUUM (ANALYZE) events_text');
}
