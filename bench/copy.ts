import { readFile } from 'node:fs/promises';
import { Client as TemporalClient, Connection } from '@temporalio/client';
import { Client } from 'pg';
import { startStack, type LocalStack } from '../local/stack.ts';
import { startWorkerProcess } from '../local/worker-process.ts';
import type { ExtractTableRequest, ExtractTableResult } from '../src/contract/extract-table.ts';
import { formatBytes, formatDuration } from '../src/contract/quantities.ts';
import { makeBenchTable } from './bench-table.ts';
import { psqlPipe } from './psql-pipe.ts';

const ROWS = Number(process.env['BENCH_ROWS'] ?? 3_000_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const TASK_QUEUE = 'bench';

/** The same table by hand and by `extractTable`, in turn, in one run. */
export async function benchCopy(): Promise<void> {
  const stack = await startStack({ ui: false });
  try {
    await compare(stack);
  } finally {
    await stack.close();
  }
}

async function compare(stack: LocalStack): Promise<void> {
  const size = await makeBenchTable(stack.sourceUrl, ROWS);
  say(`events: ${ROWS.toLocaleString('en-US')} rows, ${formatBytes(size)}`);
  const worker = await startWorkerProcess({ env: { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: TASK_QUEUE } });
  const connection = await Connection.connect({ address: stack.temporalAddress });
  const client = new TemporalClient({ connection });

  const byHand: number[] = [];
  const extracted: number[] = [];
  let history = '';
  for (let round = 0; round <= ROUNDS; round += 1) {
    await settle(stack);
    const hand = await psqlPipe(stack.sourceUrl, stack.warehouseUrl, 'binary');
    await settle(stack);
    const run = await extract(client, round, { table: 'events', parallelism: 4 });
    say(`${round === 0 ? 'warm-up ' : `round ${round} `} psql | psql ${formatDuration(hand)}, extractTable ${formatDuration(run.milliseconds)}, ratio ${(run.milliseconds / hand).toFixed(2)}`);
    history = `${run.events} events for ${run.chunks} chunks (${(run.events / run.chunks).toFixed(1)} each)`;
    if (round === 0) continue;
    byHand.push(hand);
    extracted.push(run.milliseconds);
  }
  say(`\nmedian: psql | psql ${formatDuration(median(byHand))}, extractTable ${formatDuration(median(extracted))}`);
  say(`ratio of medians: ${(median(extracted) / median(byHand)).toFixed(2)}`);
  await connection.close();
  say(`peak memory of the worker: ${await peakMemory(worker.pid)}; history: ${history}`);
}

/** What the last copy left to be written must not burden the next. */
async function settle({ sourceUrl, warehouseUrl }: { sourceUrl: string; warehouseUrl: string }): Promise<void> {
  for (const url of [sourceUrl, warehouseUrl]) {
    const client = new Client(url);
    await client.connect();
    await client.query('CHECKPOINT');
    await client.end();
  }
}

async function extract(
  client: TemporalClient,
  round: number,
  request: ExtractTableRequest,
): Promise<{ milliseconds: number; chunks: number; events: number }> {
  const began = performance.now();
  const handle = await client.workflow.start('extractTable', {
    taskQueue: TASK_QUEUE,
    workflowId: `bench-${round}`,
    args: [request],
  });
  const result = (await handle.result()) as ExtractTableResult;
  const milliseconds = performance.now() - began;
  const { historyLength } = await handle.describe();
  return { milliseconds, chunks: result.chunks, events: historyLength };
}

async function peakMemory(pid: number): Promise<string> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  const kilobytes = /VmHWM:\s+(\d+)/.exec(status)?.[1];
  return kilobytes === undefined ? 'unknown on this system' : formatBytes(Number(kilobytes) * 1024);
}

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
