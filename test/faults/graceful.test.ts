import { afterAll, beforeAll, expect, test } from 'vitest';
import type { WorkflowHandle } from '@temporalio/client';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Gate } from '../setup/gate.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
});
afterAll(async () => lab.close());

/** Returns the completed activities of a type in order, each with its attempt and result. */
async function endedOf(handle: WorkflowHandle, kind: string) {
  const { events = [] } = await handle.fetchHistory();
  const of = new Map((events ?? []).map((event) => [String(event.eventId), event]));
  return (events ?? []).flatMap(({ activityTaskCompletedEventAttributes: completed }) => {
    const scheduled = of.get(String(completed?.scheduledEventId))?.activityTaskScheduledEventAttributes;
    if (scheduled?.activityType?.name !== kind) return [];
    const started = of.get(String(completed?.startedEventId))?.activityTaskStartedEventAttributes;
    const [result] = completed?.result?.payloads ?? [];
    const gave: unknown = JSON.parse(Buffer.from(result?.data ?? []).toString());
    return [{ id: scheduled.activityId, attempt: started?.attempt, gave }];
  });
}

test('a worker that is asked to stop ends the chunk that it is at, and leaves the others and the snapshot to another', async () => {
  await lab.source.query(`CREATE TABLE orders (id int, v text);
    INSERT INTO orders SELECT i, repeat('v', 100) FROM generate_series(1, 10000) i`);
  const stop = await lab.startWorkers();
  const gate = await Gate.closed(lab);
  const where = 'gate(id = 1)';
  const handle = await lab.start({ table: 'orders', chunkSize: '128kB', parallelism: 1, where });
  await gate.reached();
  const stopOther = await lab.startWorkers();
  const stopped = stop();
  await gate.open();
  await expect(handle.result()).resolves.toMatchObject({ rows: 10_000, restarts: 0 });
  await stopped;
  const copies = await endedOf(handle, 'copyChunks');
  // the first ended before the end of its span, and no attempt failed
  expect(copies.slice(0, 2)).toMatchObject([{ id: 'copy-0' }, { id: 'copy-1' }]);
  expect(copies.every(({ attempt }) => attempt === 1)).toBe(true);
  await expectSameRows(lab, 'orders', 'bronze.br_orders');
  expect(await lab.leftoversAtLast()).toEqual([]);
  await stopOther();
});

// existing tables are exchanged in a different way than new ones
test.for([
  ['known', true],
  ['new', false],
] as const)(
  'one that extracts %s small tables ends the table that it is at, and leaves the others and the snapshot of all to another',
  { tags: 'long' },
  async ([, known]) => {
    const tables = [1, 2, 3, 4, 5, 6].map((number) => `packed.t${number}`);
    await lab.source.query('DROP SCHEMA IF EXISTS packed CASCADE; CREATE SCHEMA packed');
    for (const [index, table] of tables.entries())
      await lab.source.query(`CREATE TABLE ${table} AS
      SELECT i AS id, md5(i::text) AS token FROM generate_series(1, ${7000 - 1000 * index}) i`);
    const stop = await lab.startWorkers();
    if (known) await lab.extractDatabase({ tables: ['packed.*'] });
    for (const table of tables) await lab.source.query(`UPDATE ${table} SET token = 'now' WHERE id % 3 = 0`);
    const gate = await Gate.closed(lab);
    const handle = await lab.startDatabase({
      tables: ['packed.*', { table: 'packed.t2', where: 'gate(id = 2000)' }],
      parallelism: 1,
    });
    await gate.reached();
    const committedBefore = await committed(handle.firstExecutionRunId);
    const stopOther = await lab.startWorkers();
    const stopped = stop();
    await gate.open();
    expect(await handle.result()).toMatchObject({ outcome: 'complete', committed: 6, restarts: 0 });
    await stopped;
    const packs = await endedOf(handle, 'copyTables');
    // the first was given all tables and left four of them, and no attempt failed
    expect(packs[0]).toMatchObject({ gave: { tables: [{ member: 0 }, { member: 1 }] } });
    expect(packs.every(({ attempt }) => attempt === 1)).toBe(true);
    // what was committed has not changed
    expect(committedBefore).toHaveLength(1);
    expect(await committed(handle.firstExecutionRunId)).toEqual(expect.arrayContaining(committedBefore));
    expect(await committed(handle.firstExecutionRunId)).toHaveLength(tables.length);
    for (const table of tables) await expectSameRows(lab, table, `bronze.br_${table.replace('.', '__')}`);
    expect(await lab.leftoversAtLast()).toEqual([]);
    await stopOther();
  },
);

async function committed(runId: string): Promise<{ name: string; plan: string }[]> {
  const { rows } = await lab.warehouse.query<{ name: string; plan: string }>(
    `SELECT source_table AS name, plan_id AS plan FROM bronze.extraction_runs WHERE database_run_id = $1`,
    [runId],
  );
  return rows;
}

test(
  'one that holds the snapshot of a slot hands it on, and the first copy of a capture goes on',
  { tags: 'long' },
  async () => {
    const captures = await CaptureLab.open(lab);
    const slot = captures.slotName();
    for (const table of ['first', 'second'])
      await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v text);
      INSERT INTO ${table} SELECT i, repeat('v', 100) FROM generate_series(1, 1000) i`);
    // with a condition, a table has activities of its own
    await lab.source.query(
      `CREATE PUBLICATION ${slot} FOR TABLE first WHERE (id > 0), second WHERE (id > 0)`,
    );
    const stop = await lab.startWorkers();
    const held = await HeldCopies.hold(lab, 'before each mark');
    const handle = await captures.start({ tables: ['first', 'second'], slot, mirror: true });
    await held.reached();
    // neither copy may contain the update, and both tables get it from the WAL
    await lab.source.query(`UPDATE first SET v = 'later'; UPDATE second SET v = 'later'`);
    const stopOther = await lab.startWorkers();
    const stopped = stop();
    // in the middle of a copy, which is cancelled at the end of the grace period
    await waitUntil(async () => !(await isSlotHeld()));
    await held.release();
    const heldAgain = await HeldCopies.hold(lab, 'before each mark');
    await heldAgain.reached();
    await stopped;
    await heldAgain.release();
    await captures.untilStreaming(handle);
    await captures.untilWritten(slot);
    for (const table of ['first', 'second']) await expectSameRows(lab, table, `bronze.br_${table}`);
    expect(await captures.status(handle)).toMatchObject({ copiedRows: 2000, warnings: [] });
    const copies = await endedOf(handle, 'copyChunks');
    expect(copies.map(({ attempt }) => attempt)).toEqual([1, 1]);
    await captures.end(handle, slot);
    await stopOther();
  },
);

async function isSlotHeld(): Promise<boolean> {
  const { rowCount } = await lab.source.query(
    `SELECT FROM pg_stat_activity WHERE backend_type = 'walsender' AND datname = current_database()`,
  );
  return rowCount !== 0;
}
