import { Client as TemporalClient, Connection } from '@temporalio/client';
import { Client } from 'pg';
import { startStack, type LocalStack } from '../local/stack.ts';
import { startWorkerProcess } from '../local/worker-process.ts';
import type { ExtractTableRequest, ExtractTableResult } from '../src/contract/extract-table.ts';
import { formatBytes, formatDuration } from '../src/contract/quantities.ts';
import { benchColumns, makeBenchTable } from './bench-table.ts';
import { build } from './build.ts';

const ROWS = Number(process.env['BENCH_ROWS'] ?? 2_000_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const PARTITIONS = 24;
const TASK_QUEUE = 'bench-partitions';

const variants: Readonly<Record<string, ExtractTableRequest>> = {
  'one table': { table: 'events' },
  'in partitions': { table: 'parted' },
  // the first makes an index of bronze, which the table has then
  'one of them replaced': {
    table: 'parted',
    write: 'replace-partitions',
    partitions: { names: ['parted_7'] },
  },
  'another replaced': {
    table: 'parted',
    write: 'replace-partitions',
    partitions: { names: ['parted_8'] },
  },
};

/** What it costs that a table is partitioned: the same rows in one table and in partitions, in turn, and then one partition alone. */
export async function benchPartitions(): Promise<void> {
  await build();
  const stack = await startStack({ ui: false });
  try {
    const size = await makeBenchTable(stack.sourceUrl, ROWS);
    await makePartitions(stack.sourceUrl);
    say(
      `${ROWS.toLocaleString('en-US')} rows, ${formatBytes(size)}, in one table and in ${PARTITIONS} partitions; ${ROUNDS} rounds`,
    );
    await compare(stack);
  } finally {
    await stack.close();
  }
}

async function makePartitions(url: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  const each = Math.ceil((ROWS + 1) / PARTITIONS);
  const parts = Array.from(
    { length: PARTITIONS },
    (_, part) =>
      `CREATE TABLE parted_${part} PARTITION OF parted FOR VALUES FROM (${part * each}) TO (${(part + 1) * each})`,
  );
  await client.query(`CREATE TABLE parted (${benchColumns}) PARTITION BY RANGE (id); ${parts.join(';')};
    INSERT INTO parted SELECT * FROM events ORDER BY id; ALTER TABLE parted ADD PRIMARY KEY (id)`);
  await client.query('VACUUM (ANALYZE) parted');
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
      await settle(stack);
      const took = await timed(client, `${round}-${name}`, request);
      // the first round warms up
      if (round > 0) times.get(name)?.push(took);
    }
  }
  const [base = Number.NaN] = [...times.values()].map(median);
  for (const [name, all] of times) {
    const each = all.map(formatDuration).join(', ');
    say(`  ${name.padEnd(22)} ${formatDuration(median(all)).padStart(8)}  ${(median(all) / base).toFixed(2)}  (${each})`); // prettier-ignore
  }
  await worker.stop();
  await connection.close();
}

/** What the last copy left to be written must not burden the next. */
async function settle({ sourceUrl, warehouseUrl }: LocalStack): Promise<void> {
  for (const url of [sourceUrl, warehouseUrl]) {
    const client = new Client(url);
    await client.connect();
    await client.query('CHECKPOINT');
    await client.end();
  }
}

async function timed(client: TemporalClient, name: string, request: ExtractTableRequest): Promise<number> {
  const began = performance.now();
  await client.workflow.execute<(input: ExtractTableRequest) => Promise<ExtractTableResult>>('extractTable', {
    taskQueue: TASK_QUEUE,
    workflowId: `partitions-${name}`,
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
