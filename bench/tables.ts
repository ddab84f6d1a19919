import { Client as TemporalClient, Connection } from '@temporalio/client';
import { Client } from 'pg';
import { startStack } from '../local/stack.ts';
import { startWorkerProcess } from '../local/worker-process.ts';
import type { ExtractDatabaseRequest, ExtractDatabaseResult } from '../src/contract/extract-database.ts';
import { formatDuration } from '../src/contract/quantities.ts';
import { build } from './build.ts';

const TABLES = Number(process.env['BENCH_TABLES'] ?? 500);
const ROWS = Number(process.env['BENCH_ROWS'] ?? 1_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 3);
const TASK_QUEUE = 'bench';

/** Many small tables, end to end: the first run makes the bronze tables, the others replace their rows. */
export async function benchTables(): Promise<void> {
  await build();
  const stack = await startStack({ ui: false });
  try {
    await makeTables(stack.sourceUrl);
    const worker = await startWorkerProcess({
      env: { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: TASK_QUEUE },
      entry: 'dist/worker.js',
    });
    const connection = await Connection.connect({ address: stack.temporalAddress });
    const client = new TemporalClient({ connection });
    for (let round = 0; round <= ROUNDS; round += 1) await measure(client, round);
    await worker.stop();
    await connection.close();
  } finally {
    await stack.close();
  }
}

async function makeTables(url: string): Promise<void> {
  const source = new Client(url);
  await source.connect();
  for (let number = 1; number <= TABLES; number += 1) {
    await source.query(`CREATE TABLE table_${number} (id bigint PRIMARY KEY, name text NOT NULL, amount numeric(12,2),
      at timestamptz NOT NULL DEFAULT now(), note jsonb)`);
    await source.query(
      `INSERT INTO table_${number} SELECT i, md5(i::text), i * 1.25, now(), '{"a": 1}' FROM generate_series(1, ${ROWS}) i`,
    );
  }
  await source.end();
}

async function measure(client: TemporalClient, round: number): Promise<void> {
  const began = performance.now();
  const handle = await client.workflow.start<
    (request: ExtractDatabaseRequest) => Promise<ExtractDatabaseResult>
  >('extractDatabase', {
    taskQueue: TASK_QUEUE,
    workflowId: `bench-${round}`,
    args: [{ tables: ['public.*'] }],
  });
  const { committed, rows } = await handle.result();
  const { historyLength } = await handle.describe();
  const label = round === 0 ? 'first run' : `run ${round + 1}`;
  process.stdout.write(
    `${label}: ${committed} tables, ${rows.toLocaleString('en-US')} rows in ${formatDuration(performance.now() - began)}, ${historyLength} events\n`,
  );
}
