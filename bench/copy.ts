import { Client as TemporalClient, Connection } from '@temporalio/client';
import { Client } from 'pg';
import { startStack, type LocalStack } from '../local/stack.ts';
import { startWorkerProcess } from '../local/worker-process.ts';
import type { ExtractTableRequest, ExtractTableResult } from '../src/contract/extract-table.ts';
import { formatBytes, formatDuration } from '../src/contract/quantities.ts';
import { makeBenchTable } from './bench-table.ts';
import { build } from './build.ts';
import { cpuSeconds, peakMemory } from './process-times.ts';
import { psqlPipe } from './psql-pipe.ts';

const ROWS = Number(process.env['BENCH_ROWS'] ?? 2_000_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const SMALL_RUNS = 10;
const TASK_QUEUE = 'bench';

/** The same table by hand and by `extractTable`, in turn, in one run. */
export async function benchCopy(): Promise<void> {
  await build();
  const stack = await startStack({ ui: false });
  try {
    const size = await makeBenchTable(stack.sourceUrl, ROWS);
    say(`events: ${ROWS.toLocaleString('en-US')} rows, ${formatBytes(size)}`);
    await compare(stack);
  } finally {
    await stack.close();
  }
}

async function compare(stack: LocalStack): Promise<void> {
  const env = { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: TASK_QUEUE };
  const worker = await startWorkerProcess({ env, entry: process.env['BENCH_WORKER'] ?? 'dist/worker.js' });
  const connection = await Connection.connect({ address: stack.temporalAddress });
  const client = new TemporalClient({ connection });
  const byHand: number[] = [];
  const extracted: number[] = [];
  let history = '';
  for (let round = 0; round <= ROUNDS; round += 1) {
    await settle(stack);
    const hand = await measured(stack, worker.pid, async () =>
      psqlPipe(stack.sourceUrl, stack.warehouseUrl, 'binary'),
    );
    await settle(stack);
    const run = await measured(stack, worker.pid, async () =>
      extract(client, `copy-${round}`, { table: 'events', parallelism: 4 }),
    );
    const ratio = (run.milliseconds / hand.milliseconds).toFixed(2);
    say(round === 0 ? 'warm-up' : `round ${round}: ratio ${ratio}`);
    say(`  psql | psql  ${formatDuration(hand.milliseconds)} (${hand.cpu})`);
    say(`  extractTable ${formatDuration(run.milliseconds)} (${run.cpu})`);
    const { chunks, events } = run.result;
    history = `${events} events for ${chunks} chunks (${(events / chunks).toFixed(1)} each)`;
    if (round === 0) continue;
    byHand.push(hand.milliseconds);
    extracted.push(run.milliseconds);
  }
  const [hand, ours] = [median(byHand), median(extracted)];
  say(`\nmedian of ${ROUNDS}: psql | psql ${formatDuration(hand)}, extractTable ${formatDuration(ours)}`);
  say(`ratio of the medians: ${(ours / hand).toFixed(2)}`);
  say(`peak memory of the worker: ${formatBytes(await peakMemory(worker.pid))}; history: ${history}`);
  say(
    `a table of 10,000 rows, end to end, median of ${SMALL_RUNS}: ${formatDuration(await smallTable(stack, client))}`,
  );
  await worker.stop();
  await connection.close();
}

/** What a run costs beside its rows. */
async function smallTable({ sourceUrl }: LocalStack, client: TemporalClient): Promise<number> {
  await execute(sourceUrl, 'CREATE TABLE small AS SELECT * FROM events LIMIT 10000');
  const times: number[] = [];
  for (let run = 0; run <= SMALL_RUNS; run += 1) {
    const began = performance.now();
    await extract(client, `small-${run}`, { table: 'small' });
    if (run > 0) times.push(performance.now() - began);
  }
  return median(times);
}

/** What the last copy left to be written must not burden the next. */
async function settle({
  sourceUrl,
  warehouseUrl,
}: Pick<LocalStack, 'sourceUrl' | 'warehouseUrl'>): Promise<void> {
  for (const url of [sourceUrl, warehouseUrl]) await execute(url, 'CHECKPOINT');
}

async function execute(url: string, statement: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  await client.query(statement);
  await client.end();
}

interface Measured<T> {
  readonly result: T;
  readonly milliseconds: number;
  readonly cpu: string;
}

/** Runs the work, and tells whose CPU it took. The two psql processes count to nobody here. */
async function measured<T>(stack: LocalStack, worker: number, work: () => Promise<T>): Promise<Measured<T>> {
  const roots = {
    source: stack.source?.pid,
    warehouse: stack.warehouse?.pid,
    worker,
    temporal: stack.temporal?.pid,
  };
  const named = Object.entries(roots).flatMap(([name, pid]) =>
    pid === undefined ? [] : [[name, pid] as const],
  );
  const before = await Promise.all(named.map(async ([, pid]) => cpuSeconds(pid)));
  const began = performance.now();
  const result = await work();
  const milliseconds = performance.now() - began;
  const after = await Promise.all(named.map(async ([, pid]) => cpuSeconds(pid)));
  const spent = named.map(
    ([name], index) => `${name} ${((after[index] ?? 0) - (before[index] ?? 0)).toFixed(1)} s`,
  );
  return { result, milliseconds, cpu: `CPU: ${spent.join(', ')}` };
}

async function extract(
  client: TemporalClient,
  name: string,
  request: ExtractTableRequest,
): Promise<{ chunks: number; events: number }> {
  const handle = await client.workflow.start<(input: ExtractTableRequest) => Promise<ExtractTableResult>>(
    'extractTable',
    { taskQueue: TASK_QUEUE, workflowId: `bench-${name}`, args: [request] },
  );
  const { chunks } = await handle.result();
  const { historyLength } = await handle.describe();
  return { chunks, events: historyLength };
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
