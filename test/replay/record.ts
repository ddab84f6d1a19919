import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { Client as TemporalClient, Connection } from '@temporalio/client';
import { Client } from 'pg';
import { startStack, type LocalStack } from '../../local/stack.ts';
import { startWorkerProcess } from '../../local/worker-process.ts';
import type { CaptureChangesRequest } from '../../src/contract/capture-changes.ts';
import type { ExtractDatabaseRequest } from '../../src/contract/extract-database.ts';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';

/**
 * Records histories of real runs, for the replay test.
 *
 * Recorded histories are kept: they stand for runs that are open while the code changes.
 * Run this for a new kind of run, under a new name; never to make a failing replay pass.
 */
type Run =
  | readonly ['extractTable', ExtractTableRequest]
  | readonly ['extractDatabase', ExtractDatabaseRequest]
  | readonly ['captureChanges', CaptureChangesRequest];

const runs: Readonly<Record<string, Run>> = {
  'one-chunk': ['extractTable', { table: 'users', where: 'true' }],
  'finished-where-it-was-planned': ['extractTable', { table: 'users' }],
  'many-chunks': ['extractTable', { table: 'orders', chunkSize: '1MB' }],
  'without-a-snapshot': [
    'extractTable',
    { table: 'orders', chunkSize: '2MB', consistency: 'none', target: 'orders_unheld' },
  ],
  'unknown-table': ['extractTable', { table: 'oders' }],
  'many-tables': ['extractDatabase', { tables: ['public.*', 'oders'] }],
  'worthwhile-packs': ['extractDatabase', { tables: ['public.*', 'shop.*', 'oders'] }],
  'tables-without-a-snapshot': ['extractDatabase', { tables: ['public.*'], consistency: 'table' }],
  'a-capture-from-its-first-copy': [
    'captureChanges',
    { tables: ['shop.*'], mirror: true, until: 'caught-up' },
  ],
  'a-capture-in-packs': ['captureChanges', { tables: ['shop.*'], mirror: true, until: 'caught-up' }],
  'a-capture-that-goes-on': [
    'captureChanges',
    { tables: ['shop.*'], mirror: true, until: '3 seconds', maxSlotLag: '1GB' },
  ],
};

const TASK_QUEUE = 'record';
const execute = promisify(execFile);

const stack = await startStack({ ui: false });
try {
  await prepare(stack.sourceUrl);
  const worker = await startWorkerProcess({
    env: { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: TASK_QUEUE },
  });
  const client = new TemporalClient({
    connection: await Connection.connect({ address: stack.temporalAddress }),
  });
  const only = process.argv.slice(2);
  for (const [name, [workflow, request]] of Object.entries(runs)) {
    if (only.length > 0 && !only.includes(name)) continue;
    const handle = await client.workflow.start(workflow, {
      taskQueue: TASK_QUEUE,
      workflowId: name,
      args: [request],
    });
    await handle.result().catch(() => undefined);
    await record(stack, name);
  }
  await worker.stop();
} finally {
  await stack.close();
}
process.exit(0);

async function prepare(url: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  await client.query(`CREATE TABLE users AS SELECT i AS id FROM generate_series(1, 10) i;
    CREATE TABLE large (id int, filler text); ALTER TABLE large ALTER filler SET STORAGE PLAIN;
    INSERT INTO large SELECT i, repeat('x', 1900) FROM generate_series(1, 9500) i;
    CREATE TABLE orders AS SELECT i AS id, md5(i::text) AS token FROM generate_series(1, 100000) i;
    CREATE SCHEMA shop; CREATE TABLE shop.accounts (id int PRIMARY KEY, name text); INSERT INTO shop.accounts VALUES (1, 'one'), (2, 'two');
    CREATE TABLE shop.payments (id int PRIMARY KEY, amount numeric); INSERT INTO shop.payments VALUES (1, 10.50)`);
  await client.end();
}

async function record({ temporal, temporalAddress }: LocalStack, workflowId: string): Promise<void> {
  const show = [
    'workflow',
    'show',
    '--workflow-id',
    workflowId,
    '--output',
    'json',
    '--address',
    temporalAddress,
  ];
  const { stdout } = await execute(temporal?.cli ?? 'temporal', show, { maxBuffer: 100 * 1024 * 1024 });
  // stack traces and identities describe the machine, and are not replayed
  const told = (key: string, value: unknown): unknown =>
    key === 'stackTrace' || key === 'identity' ? '' : value;
  const history = JSON.stringify(JSON.parse(stdout), told, 1);
  await writeFile(new URL(`./histories/${workflowId}.json`, import.meta.url), `${history}\n`);
}
