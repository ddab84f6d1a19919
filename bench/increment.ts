import { Client as TemporalClient, Connection } from '@temporalio/client';
import { Client } from 'pg';
import { startStack } from '../local/stack.ts';
import { startWorkerProcess } from '../local/worker-process.ts';
import type { ExtractTableRequest, ExtractTableResult } from '../src/contract/extract-table.ts';
import { formatDuration } from '../src/contract/quantities.ts';
import { makeBenchTable } from './bench-table.ts';
import { build } from './build.ts';

const ROWS = Number(process.env['BENCH_ROWS'] ?? 5_000_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const CHANGES = 1_000;
const TASK_QUEUE = 'bench';

/** Increments of a thousand rows on a large table, appended and merged. */
export async function benchIncrement(): Promise<void> {
  await build();
  const stack = await startStack({ ui: false });
  try {
    await makeBenchTable(stack.sourceUrl, ROWS);
    const source = new Client(stack.sourceUrl);
    // that the stack ends is no news here
    source.on('error', () => undefined);
    await source.connect();
    await source.query('CREATE INDEX ON events (updated_at)');
    await source.query('VACUUM ANALYZE events');
    const worker = await startWorkerProcess({
      env: { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: TASK_QUEUE },
      entry: 'dist/worker.js',
    });
    const connection = await Connection.connect({ address: stack.temporalAddress });
    const client = new TemporalClient({ connection });
    for (const write of ['append', 'merge'] as const) await measure(source, client, write);
    await worker.stop();
    await Promise.all([connection.close(), source.end()]);
  } finally {
    await stack.close();
  }
}

async function measure(source: Client, client: TemporalClient, write: 'append' | 'merge'): Promise<void> {
  const request: ExtractTableRequest = {
    table: 'events',
    target: `br_${write}`,
    write,
    incremental: { column: 'updated_at', lookback: 0 },
  };
  const first = await timed(async () => run(client, `${write}-first`, request));
  say(
    `${write}: first run of ${first.result.rows.toLocaleString('en-US')} rows ${formatDuration(first.milliseconds)}`,
  );
  const times: number[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    await source.query(
      `UPDATE events SET updated_at = clock_timestamp() WHERE id > $1::bigint AND id <= $1::bigint + ${CHANGES}`,
      [round * CHANGES],
    );
    const { result, milliseconds } = await timed(async () => run(client, `${write}-${round}`, request));
    const { added, replaced, unchanged } = result.incremental ?? { added: 0, replaced: 0, unchanged: 0 };
    const label = round === 0 ? 'warm-up' : `round ${round}`;
    say(
      `  ${label}: ${formatDuration(milliseconds)}, ${added} added, ${replaced} replaced, ${unchanged} unchanged`,
    );
    if (round > 0) times.push(milliseconds);
  }
  const sorted = times.toSorted((a, b) => a - b);
  say(`${write}: median ${formatDuration(sorted[Math.floor(sorted.length / 2)] ?? Number.NaN)}`);
}

async function run(
  client: TemporalClient,
  id: string,
  request: ExtractTableRequest,
): Promise<ExtractTableResult> {
  return client.workflow.execute<(input: ExtractTableRequest) => Promise<ExtractTableResult>>(
    'extractTable',
    {
      taskQueue: TASK_QUEUE,
      workflowId: `bench-${id}`,
      args: [request],
    },
  );
}

async function timed<T>(work: () => Promise<T>): Promise<{ result: T; milliseconds: number }> {
  const began = performance.now();
  const result = await work();
  return { result, milliseconds: performance.now() - began };
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
