import { afterAll, beforeAll, expect, test } from 'vitest';
import type { MaintainBronzeRequest, MaintainBronzeResult } from '../../src/contract/maintain-bronze.ts';
import { Gate } from '../setup/gate.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE TABLE orders (id int, v text); CREATE TABLE users (id int, v text);
    INSERT INTO orders SELECT i, repeat('v', 100) FROM generate_series(1, 5000) i; INSERT INTO users TABLE orders`);
});
afterAll(async () => lab.close());

let runs = 0;
async function maintain(request?: MaintainBronzeRequest): Promise<MaintainBronzeResult> {
  runs += 1;
  return lab.temporal.workflow.execute<(input?: MaintainBronzeRequest) => Promise<MaintainBronzeResult>>(
    'maintainBronze',
    {
      taskQueue: lab.taskQueue,
      workflowId: `${lab.taskQueue}-maintain-${runs}`,
      args: request === undefined ? [] : [request],
    },
  );
}

async function namesOf(query: string): Promise<string[]> {
  const { rows } = await lab.warehouse.query<{ name: string }>(query);
  return rows.map(({ name }) => name);
}
const staged = async () =>
  namesOf(
    `SELECT relname AS name FROM pg_class WHERE relnamespace = 'bronze_staging'::regnamespace ORDER BY 1`,
  );
const ledgers = async () =>
  namesOf('SELECT DISTINCT plan_id::text AS name FROM bronze.extraction_chunks ORDER BY 1');

test('what terminated runs have left is dropped, and what runs is left alone', async () => {
  const gate = await Gate.closed(lab);
  const gone = await lab.start({ table: 'orders', chunkSize: '128kB', consistency: 'none' });
  await gone.signal('pause');
  await lab.planned();
  await waitUntil(async () => (await lab.leftovers()).every((name) => !name.startsWith('session')));
  await gone.terminate('no activity is there to hear of it');
  const running = await lab.start({ table: 'users', chunkSize: '128kB', where: 'gate(id = 2500)' });
  await gate.reached();
  const [left, inUse] = await staged();
  const expected = {
    runs: { count: 1, first: [{ workflowId: gone.workflowId, runId: gone.firstExecutionRunId }] },
    stagingTables: { count: 1, first: [left] },
    leftAlone: 1,
    locked: { count: 0, first: [] },
  };

  expect(await maintain({ dryRun: true })).toMatchObject({ dryRun: true, ...expected });
  expect(await staged()).toEqual([left, inUse]);
  expect(await maintain()).toMatchObject({ dryRun: false, ...expected });
  expect(await staged()).toEqual([inUse]);
  expect(await ledgers()).not.toContain(left?.replace('plan_', ''));

  await gate.open();
  await expect(running.result()).resolves.toMatchObject({ rows: 5000, restarts: 0 });
  await expectSameRows(lab, 'users', 'bronze.br_users');
  expect(await maintain()).toMatchObject({ runs: { count: 0 }, stagingTables: { count: 0 }, ledgerRows: 0 });
  expect(await ledgers()).toHaveLength(1); // the one of the rows that bronze shows
});

test('runs of a namespace are over when somebody says that it is lost', async () => {
  await using run = new Steps(lab);
  const { planId } = await run.load({ table: 'users', chunkSize: '128kB' });
  expect(await maintain()).toMatchObject({ runs: { count: 0 }, stagingTables: { count: 0 }, ledgerRows: 0 });
  expect(await staged()).toEqual([`plan_${planId}`]);
  await expect(maintain({ lostNamespaces: ['default'] })).rejects.toMatchObject({
    cause: { type: 'InvalidInput' },
  });
  expect(await maintain({ lostNamespaces: [run.namespace] })).toMatchObject({ stagingTables: { count: 1 } });
  expect(await staged()).toEqual([]);
  await expect(run.copy({ planId } as Awaited<ReturnType<Steps['plan']>>, 0)).rejects.toMatchObject({
    type: 'StagingLost',
  });
});

test('tables and ledgers that nobody has are dropped; what is locked is told, and dropped the next time', async () => {
  const reader = await lab.connect('warehouse');
  await reader.query(`CREATE TABLE bronze_staging.plan_999 (); CREATE TABLE bronze_staging.plan_998_keys ();
    ALTER TABLE bronze_staging.plan_999 OWNER TO loader; ALTER TABLE bronze_staging.plan_998_keys OWNER TO loader;
    INSERT INTO bronze.extraction_chunks (plan_id, chunk, rows, bytes, attempt, snapshot_at) VALUES (999, 0, 1, 1, 1, now());
    INSERT INTO bronze.extraction_attempts VALUES (999, 0, 1, 1)`);
  await reader.query('BEGIN; SELECT FROM bronze_staging.plan_999');
  expect(await maintain({ dryRun: true })).toMatchObject({ stagingTables: { count: 2 }, ledgerRows: 1 });
  expect(await maintain()).toMatchObject({
    stagingTables: { count: 1, first: ['plan_998_keys'] },
    ledgerRows: 1,
    locked: { count: 1, first: ['plan_999'] },
  });
  await reader.query('COMMIT');
  expect(await maintain()).toMatchObject({
    stagingTables: { count: 1, first: ['plan_999'] },
    locked: { count: 0 },
  });
  expect(await lab.leftovers()).toEqual([]);
});
