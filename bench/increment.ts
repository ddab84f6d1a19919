import { Client } from 'pg';
import { startStack } from '../local/stack.ts';
import type { ExtractTableRequest } from '../src/contract/extract-table.ts';
import { formatDuration } from '../src/contract/quantities.ts';
import { makeBenchTable } from './bench-table.ts';
import { Extractor } from './extractor.ts';
import { say } from './say.ts';
import { median } from './statistics.ts';
import { timed } from './timed.ts';

const ROWS = Number(process.env['BENCH_ROWS'] ?? 5_000_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const CHANGES = 1_000;

/** Increments of a thousand rows on a large table, appended and merged. */
export async function benchIncrement(): Promise<void> {
  const stack = await startStack({ ui: false });
  try {
    await makeBenchTable(stack.sourceUrl, ROWS);
    const source = new Client(stack.sourceUrl);
    // that the stack ends is no news here
    source.on('error', () => undefined);
    await source.connect();
    await source.query('CREATE INDEX ON events (updated_at)');
    await source.query('VACUUM ANALYZE events');
    const extractor = await Extractor.start(stack);
    for (const write of ['append', 'merge'] as const) await measure(source, extractor, write);
    await Promise.all([extractor.stop(), source.end()]);
  } finally {
    await stack.close();
  }
}

async function measure(source: Client, extractor: Extractor, write: 'append' | 'merge'): Promise<void> {
  const request: ExtractTableRequest = {
    table: 'events',
    target: `br_${write}`,
    write,
    incremental: { column: 'updated_at', lookback: 0 },
  };
  const first = await timed(async () => extractor.table(request));
  say(
    `${write}: first run of ${first.result.result.rows.toLocaleString('en-US')} rows ${formatDuration(first.milliseconds)}`,
  );
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    await source.query(
      `UPDATE events SET updated_at = clock_timestamp() WHERE id > $1::bigint AND id <= $1::bigint + ${CHANGES}`,
      [round * CHANGES],
    );
    const { result, milliseconds } = await timed(async () => extractor.table(request));
    const { added, replaced, unchanged } = result.result.incremental ?? {
      added: 0,
      replaced: 0,
      unchanged: 0,
    };
    const label = round === 0 ? 'warm-up' : `round ${round}`;
    say(
      `  ${label}: ${formatDuration(milliseconds)}, ${added} added, ${replaced} replaced, ${unchanged} unchanged`,
    );
    if (round > 0) times.push(milliseconds);
  }
  say(`${write}: median ${formatDuration(median(times))}`);
}
