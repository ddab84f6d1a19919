import { Client as TemporalClient, Connection } from '@temporalio/client';
import { Client } from 'pg';
import { startStack, type LocalStack } from '../local/stack.ts';
import { startWorkerProcess } from '../local/worker-process.ts';
import type { ExtractTableRequest, ExtractTableResult } from '../src/contract/extract-table.ts';
import { formatBytes, formatDuration } from '../src/contract/quantities.ts';
import { makeBenchTable } from './bench-table.ts';
import { build } from './build.ts';

const ROWS = Number(process.env['BENCH_ROWS'] ?? 1_000_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const TASK_QUEUE = 'bench-values';

/** `events_text` has one column more, which is NULL, of a type that crosses as text only, and so makes all of them. */
const variants: Readonly<Record<string, ExtractTableRequest>> = {
  'binary, rows counted': { table: 'events' },
  'binary, checksum': { table: 'events', verify: 'checksum' },
  'text, rows counted': { table: 'events_text' },
  'text, checksum': { table: 'events_text', verify: 'checksum' },
};

/** What it costs to verify by checksum, and to cross as text: the same rows in each way, in turn. */
export async function benchValues(): Promise<void> {
  await build();
  const stack = await startStack({ ui: false });
  try {
    const size = await makeBenchTable(stack.sourceUrl, ROWS);
    await makeTextTable(stack.sourceUrl);
    say(`events: ${ROWS.toLocaleString('en-US')} rows, ${formatBytes(size)}; median of ${ROUNDS} rounds`);
    await compare(stack);
  } finally {
    await stack.close();
  }
}

async function makeTextTable(url: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  await client.query('CREATE TABLE events_text AS SELECT *, NULL::tsquery AS only_text FROM events');
  await client.query('VACUUM (ANALYZE) events_text');
  await client.end();
}

async function compare(stack: LocalStack): Promise<void> {
  const env = { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: TASK_QUEUE };
  const worker = await startWorkerProcess({ env, entry: 'dist/worker.js' });
  const connection = await Connection.connect({ address: stack.temporalAddress });
  const client = new TemporalClient({ connection });
  const times = new Map<string, number[]>(Object.keys(variants).map((name) => [name, []]));
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, request] of Object.entries(variants)) {
      const took = await timed(client, `${round} ${name}`, request);
      // the first round warms up
      if (round > 0) times.get(name)?.push(took);
    }
  }
  const [base = Number.NaN] = [...times.values()].map(median);
  for (const [name, all] of times) {
    say(
      `  ${name.padEnd(22)} ${formatDuration(median(all)).padStart(8)}  ${(median(all) / base).toFixed(2)}`,
    );
  }
  await worker.stop();
  await connection.close();
}

async function timed(client: TemporalClient, name: string, request: ExtractTableRequest): Promise<number> {
  const began = performance.now();
  await client.workflow.execute<(input: ExtractTableRequest) => Promise<ExtractTableResult>>('extractTable', {
    taskQueue: TASK_QUEUE,
    workflowId: `values-${name}`,
    args: [request],
  });
  return performance.now() - began;
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
