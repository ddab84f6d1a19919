// @module-tag long
import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startTemporal, type TemporalServer } from '../../local/temporal.ts';
import type { StreamRequest } from '../../src/contract/capture-activities.ts';
import { bundlerOptions } from '../../src/runtime/workflow-code.ts';
import { CaptureLab, type CaptureHandle } from '../setup/capture-lab.ts';
import { caughtUp, lendSlotSnapshot, prepared, untilCancelled, withFakeCapture } from '../setup/fake-run.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { scheduledActivitiesOf } from '../setup/scheduled-activities.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { withResolvers } from '../setup/with-resolvers.ts';
import { historyFacts } from '../workflows/large-plan.ts';
import { pendingActivities } from './pending-activities.ts';

/** History length at which this server suggests to continue as new, far below Temporal's default. */
const SUGGESTED_AT = 40;

let temporal: TemporalServer;
let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  temporal = await startTemporal({
    dynamicConfig: { 'limit.historyCount.suggestContinueAsNew': SUGGESTED_AT },
  });
  lab = await Lab.open({ temporalAddress: temporal.address });
  captures = await CaptureLab.open(lab);
});
afterAll(async () => {
  await lab.close();
  await temporal.dispose();
});

test('a capture whose history was left behind is what it was: paused, with its tables and counts, and nothing is lost or there twice', async () => {
  await lab.source.query(`CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (-1), (-2);
    CREATE TABLE added (id int PRIMARY KEY); INSERT INTO added VALUES (-1)`);
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['t'], slot, mirror: true });
  const runNow = async () => (await handle.describe()).runId;
  await captures.untilStreaming(handle);
  const histories = new Set([await runNow()]);
  let rows = 0;
  const write = async () => {
    rows += 1;
    await lab.source.query(`INSERT INTO t VALUES (${rows}); INSERT INTO added VALUES (${rows})`);
  };
  // events while the next history begins: rows, a table, resume
  let adding: Promise<unknown> = Promise.resolve();
  while (histories.size < 4) {
    await write();
    await handle.signal('pause');
    await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
    await write();
    const before = histories.size;
    histories.add(await runNow());
    if (histories.size === 2 && before === 1) {
      expect(await captures.status(handle)).toMatchObject({ tables: ['public.t'], copiedRows: 2 });
      adding = handle.executeUpdate('addTables', { args: [['added']] });
    }
    await handle.signal('resume');
    await waitUntil(async () => (await captures.status(handle)).phase === 'streaming');
  }
  await expect(adding).resolves.toEqual(['public.added', 'public.t']);
  await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
  await captures.untilWritten(slot);
  await expectSameRows(lab, 't', 'bronze.br_t');
  await expectSameRows(lab, 'added', 'bronze.br_added');
  const logged = (await captures.changes(slot)).filter(({ table }) => table === 't');
  expect(logged.map(({ data }) => data)).toEqual(
    Array.from({ length: rows }, (_, row) => `{"id": ${row + 1}}`),
  );
  const { rows: counted } = await lab.warehouse.query<{ changes: number }>(
    'SELECT changes::int FROM bronze.cdc_positions WHERE slot = $1',
    [slot],
  );
  await waitUntil(async () => (await captures.status(handle)).changes === counted[0]?.changes);
  await captures.end(handle, slot);
});

test('a capture that ends once it has caught up is to reach what the log was when it began, not what it is by now', async () => {
  const ends: (string | undefined)[] = [];
  const isLong = withResolvers();
  let preparations = 0;
  const activities = {
    prepareCapture: async () => ({
      ...prepared,
      logEnd: `0/${(preparations += 1)}`,
    }),
    streamChanges: async ({ untilPosition }: StreamRequest) => {
      ends.push(untilPosition);
      await isLong.promise;
      return ends.length === 1 ? { ...caughtUp, reason: 'time is up' as const } : caughtUp;
    },
  };
  await withFakeCapture(
    activities,
    { tables: ['t'], until: 'caught-up' },
    async (handle) => {
      await waitUntil(async () => ends.length === 1);
      for (let event = 0; event < SUGGESTED_AT; event += 1) await handle.signal('resume');
      isLong.resolve();
      expect(await handle.result()).toMatchObject({ outcome: 'caught up' });
      expect({ preparations, ends }).toEqual({ preparations: 2, ends: ['0/1', '0/1'] });
    },
    { address: temporal.address },
  );
});

test('the status names the tables while the capture of the next history is prepared', async () => {
  await lab.source.query('CREATE TABLE named (id int PRIMARY KEY)');
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['named'], slot });
  await captures.untilStreaming(handle);
  await handle.signal('pause');
  await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
  const blocker = await lab.connect('warehouse');
  await blocker.query('BEGIN; LOCK TABLE bronze.cdc_positions');
  await waitUntil(async () => {
    await handle.signal('pause'); // an event of the history
    return (await captures.status(handle)).phase === 'preparing';
  });
  expect(await captures.status(handle)).toMatchObject({ tables: ['public.named'], copying: [] });
  await blocker.query('COMMIT');
  await captures.end(handle, slot);
});

test('a capture that cannot leave its history, since an added table is being copied, reports less often', async () => {
  await lab.source.query('CREATE TABLE first (id int PRIMARY KEY); CREATE TABLE late (id int PRIMARY KEY)');
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['first'], slot });
  await captures.untilStreaming(handle);
  // a history that has room for the addition
  while ((await handle.describe()).runId === handle.firstExecutionRunId) await pauseAndResume(handle);
  const writer = await lab.connect('source');
  await writer.query('BEGIN; SELECT pg_current_xact_id()'); // the snapshot of a slot waits for it
  await handle.executeUpdate('addTables', { args: [['late']] });
  const { runId } = await handle.describe();
  let streams: readonly { readonly tellRarely?: true }[] = [];
  for (let pauses = 0; streams.at(-1)?.tellRarely !== true; pauses += 1) {
    expect(pauses).toBeLessThan(10);
    await pauseAndResume(handle);
    streams = await streamsOf(handle);
  }
  expect(streams[0]).not.toHaveProperty('tellRarely');
  expect((await handle.describe()).runId).toBe(runId);
  await writer.query('COMMIT');
  await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
  await captures.end(handle, slot);
});

test('a capture leaves its history while an added table cannot be copied, and copies it once it can be', async () => {
  await lab.source.query(`CREATE TABLE base (id int PRIMARY KEY); CREATE TABLE locked (id int PRIMARY KEY);
      INSERT INTO locked VALUES (1), (2); CREATE TABLE trouble (id int);
      CREATE FUNCTION is_readable() RETURNS bool LANGUAGE plpgsql AS $$ BEGIN
        IF EXISTS (SELECT FROM public.trouble) THEN RAISE EXCEPTION 'no' USING ERRCODE = 'out_of_memory'; END IF;
        RETURN true; END $$;
      CREATE POLICY readable ON locked USING (is_readable()); INSERT INTO trouble VALUES (1);
      ALTER TABLE locked ENABLE ROW LEVEL SECURITY; ALTER TABLE locked FORCE ROW LEVEL SECURITY`);
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['base'], slot, mirror: true });
  await captures.untilStreaming(handle);
  await handle.executeUpdate('addTables', { args: [['locked']] });
  const histories = new Set<string>();
  await waitUntil(async () => histories.add((await handle.describe()).runId).size === 3, 90_000);
  await lab.source.query('INSERT INTO base VALUES (1); DELETE FROM trouble');
  const copied = `SELECT FROM bronze.cdc_tables WHERE "table" = 'locked' AND status = 'live'`;
  await waitUntil(async () => (await lab.warehouse.query(copied)).rowCount === 1, 60_000);
  await captures.untilWritten(slot);
  await expectSameRows(lab, 'base', 'bronze.br_base');
  await expectSameRows(lab, 'locked', 'bronze.br_locked');
  await captures.end(handle, slot);
});

test('a copy that was given up is not tried again by the next history, but by whoever starts the capture anew', async () => {
  await lab.source.query(`CREATE TABLE healthy (id int PRIMARY KEY);
      CREATE TABLE unfit (id int PRIMARY KEY, _bronze_run_id text); INSERT INTO unfit VALUES (1)`);
  const request = { tables: ['healthy'], slot: captures.slotName(), mirror: true };
  const handle = await captures.start(request);
  await captures.untilStreaming(handle);
  await handle.executeUpdate('addTables', { args: [['unfit']] });
  const histories = new Set<string>();
  for (let resumed = 0; histories.size < 3; resumed += 1) {
    expect(resumed).toBeLessThan(20);
    await waitUntil(async () => (await captures.status(handle)).givenUp.length === 1);
    histories.add((await handle.describe()).runId);
    await pauseAndResume(handle);
  }
  expect(await captures.status(handle)).toMatchObject({ copying: [], givenUp: ['public.unfit'] });
  expect(await scheduledActivitiesOf(handle)).not.toContain('planCopy');
  await handle.cancel();
  await handle.result().catch(() => undefined);
  await lab.source.query('ALTER TABLE unfit RENAME _bronze_run_id TO run_id');
  await captures.catchUp(request);
  await expectSameRows(lab, 'unfit', 'bronze.br_unfit');
  await captures.drop({ slot: request.slot });
});

test('a capture to which table after table is added leaves its history in between', async () => {
  await lab.source.query('CREATE TABLE root (id int PRIMARY KEY); INSERT INTO root VALUES (1)');
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['root'], slot, mirror: true });
  await captures.untilStreaming(handle);
  const histories = new Set([(await handle.describe()).runId]);
  for (let tables = 1; histories.size < 3; tables += 1) {
    expect(tables).toBeLessThan(10);
    await lab.source.query(
      `CREATE TABLE leaf_${tables} (id int PRIMARY KEY); INSERT INTO leaf_${tables} VALUES (${tables})`,
    );
    await handle.executeUpdate('addTables', { args: [[`leaf_${tables}`]] });
    const copied = `SELECT FROM bronze.cdc_tables WHERE "table" = 'leaf_${tables}' AND status = 'live'`;
    await waitUntil(async () => (await lab.warehouse.query(copied)).rowCount === 1);
    await expectSameRows(lab, `leaf_${tables}`, `bronze.br_leaf_${tables}`);
    histories.add((await handle.describe()).runId);
  }
  await captures.end(handle, slot);
});

test('large tables are copied by children where the history of a first copy is long', async () => {
  const tables = ['large_1', 'large_2'];
  for (const table of tables)
    await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, filler text);
        ALTER TABLE ${table} ALTER filler SET STORAGE PLAIN;
        INSERT INTO ${table} SELECT i, repeat('x', 7900) FROM generate_series(1, 8000) i`);
  const slot = captures.slotName();
  const handle = await captures.start({ tables, slot, mirror: true });
  await waitUntil(async () => (await captures.status(handle)).phase === 'streaming', 60_000);
  expect(await captures.status(handle)).toMatchObject({ copiedRows: 16_000 });
  for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table}`);
  const first = lab.temporal.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
  const { children } = await historyFacts(first);
  expect(children).toEqual([expect.stringMatching(/large_2$/)]);
  await captures.end(handle, slot);
});

test('many tables are copied by children where the history of a first copy is long, also without one that is gone', async () => {
  const slot = captures.slotName();
  const tables = await createTwelve('crowd', slot);
  const handle = await captures.start({ tables: ['crowd.*'], slot, mirror: true });
  await waitUntil(async () => (await captures.status(handle)).phase === 'copying');
  await lab.source.query('DROP TABLE crowd.t11');
  await handle.signal('pause');
  await handle.signal('resume');
  await captures.untilStreaming(handle);
  expect(await captures.status(handle)).toMatchObject({
    copiedRows: 22,
    copying: [],
    givenUp: ['crowd.t11'],
  });
  const left = tables.filter((table) => table !== 'crowd.t11');
  for (const table of left) await lab.source.query(`INSERT INTO ${table} VALUES (3)`);
  await captures.untilWritten(slot);
  for (const table of left) await expectSameRows(lab, table, `bronze.br_${table.replace('.', '__')}`);
  const first = lab.temporal.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
  const { events, children } = await historyFacts(first);
  expect(children.length).toBeGreaterThan(2);
  expect(events).toBeLessThan(200);
  await captures.end(handle, slot);
});

test('a capture copies tables itself while a worker of an earlier version refuses to', async () => {
  const planned: string[] = [];
  const tables = Array.from({ length: 20 }, (_, index) => ({
    schema: 'public',
    name: `t${index}`,
    copying: true,
  }));
  const activities = {
    prepareCapture: async () => ({ ...prepared, outcome: 'new' as const, tables }),
    holdSlot: lendSlotSnapshot,
    planCopy: async ({ table: { name } }: { readonly table: { readonly name: string } }) => {
      planned.push(name);
      return null;
    },
    beginStreaming: untilCancelled,
  };
  const workflowsPath = fileURLToPath(new URL('earlier-workflows.ts', import.meta.url));
  const workflowBundle = await bundleWorkflowCode({ workflowsPath, ...bundlerOptions });
  await withFakeCapture(
    activities,
    { tables: ['public.*'] },
    async (handle) => {
      await waitUntil(async () => planned.length === tables.length);
      expect(planned).toEqual(tables.map(({ name }) => name));
      expect((await historyFacts(handle)).children.length).toBeGreaterThan(0);
      await handle.terminate();
    },
    { address: temporal.address, workflowBundle },
  );
});

test('children whose snapshot is lost end, and the first copy begins again', async () => {
  const slot = captures.slotName();
  const tables = await createTwelve('fragile', slot);
  const handle = await captures.start({ tables: ['fragile.*'], slot, mirror: true });
  const first = lab.temporal.workflow.getHandle(handle.workflowId, handle.firstExecutionRunId);
  await waitUntil(async () => (await historyFacts(first)).children.length > 0);
  const held = await HeldCopies.hold(lab, 'before the first');
  await held.reached();
  for (const table of tables) await lab.source.query(`INSERT INTO ${table} VALUES (3)`);
  expect(await endSlotSnapshot()).toBe(1);
  await waitUntil(async () => !(await pendingActivities(handle)).includes('holdSlot'));
  await held.release();
  await captures.untilStreaming(handle);
  expect((await captures.status(handle)).warnings).toEqual([
    'The snapshot of the slot was lost: the first copy began again on a new one.',
  ]);
  for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table.replace('.', '__')}`);
  expect((await captures.changes(slot)).length).toBe(0);
  await captures.end(handle, slot);
});

/** Adds some events to the history of a capture that streams. */
async function pauseAndResume(handle: CaptureHandle): Promise<void> {
  await handle.signal('pause');
  await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
  await handle.signal('resume');
  await captures.untilStreaming(handle);
}

/**
 * Creates twelve tables of two rows in a schema of their own, and publishes them with a condition, so that none is small.
 *
 * @returns their names, in order
 */
async function createTwelve(schema: string, publication: string): Promise<string[]> {
  const tables = Array.from({ length: 12 }, (_, index) => `${schema}.t${String(index + 1).padStart(2, '0')}`);
  await lab.source.query(`CREATE SCHEMA ${schema}`);
  for (const table of tables)
    await lab.source.query(
      `CREATE TABLE ${table} (id int PRIMARY KEY); INSERT INTO ${table} VALUES (1), (2)`,
    );
  const published = tables.map((table) => `${table} WHERE (id > 0)`).join(', ');
  await lab.source.query(`CREATE PUBLICATION ${publication} FOR TABLE ${published}`);
  return tables;
}

/** Ends the session that created a slot and exports its snapshot. @returns how many there were */
async function endSlotSnapshot(): Promise<number | null> {
  const admin = await lab.connect('source');
  const { rowCount } = await admin.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'walsender'`,
  );
  return rowCount;
}

/** Returns the requests of the streams of a capture, in order. */
async function streamsOf(handle: CaptureHandle): Promise<{ readonly tellRarely?: true }[]> {
  const { events } = await handle.fetchHistory();
  const scheduled = (events ?? []).flatMap((event) => event.activityTaskScheduledEventAttributes ?? []);
  return scheduled
    .filter(({ activityType }) => activityType?.name === 'streamChanges')
    .map(({ input }) => JSON.parse(Buffer.from(input?.payloads?.[0]?.data ?? []).toString()) as object);
}
