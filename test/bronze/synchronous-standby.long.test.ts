// @module-tag long
import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { HeldCopies } from '../setup/held-copies.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { OwnWarehouse } from './own-warehouse.ts';

let own: OwnWarehouse;
beforeAll(async () => {
  own = await OwnWarehouse.open();
  await own.lab.source.query('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)');
});
afterAll(async () => own[Symbol.asyncDispose]());

test('the source is told of nothing that only this server of the warehouse has, also when the stream starts anew', async () => {
  const { lab, captures } = own;
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['t'], slot, mirror: true });
  await captures.untilStreaming(handle);
  await captures.untilWritten(slot);
  await own.awaitStandbys('away');
  await own.untilOneWaits();
  await lab.source.query('INSERT INTO t VALUES (2)');
  // a commit that waits for a standby is there all the same once its session has ended
  await waitUntil(async () => {
    for (const pid of await own.waiting())
      await lab.warehouse.query('SELECT pg_terminate_backend($1)', [pid]);
    return (await lab.warehouse.query('SELECT FROM bronze.br_t WHERE id = 2')).rowCount === 1;
  });
  await own.untilOneWaits();
  expect(await acknowledgedPast(slot)).toBe(false);
  await own.awaitStandbys('');
  await captures.untilWritten(slot);
  await waitUntil(async () => acknowledgedPast(slot));
  await expectSameRows(lab, 't', 'bronze.br_t');
  await captures.end(handle, slot);
});

test('a run is told as committed only once the standby has it, also where another attempt finds it done', async () => {
  const { lab } = own;
  await lab.extract({ table: 't', target: 'begun' });
  await own.awaitStandbys('away');
  const handle = await lab.start({ table: 't', target: 'told' });
  await own.untilOneWaits();
  const [given] = await own.waiting();
  await lab.warehouse.query('SELECT pg_terminate_backend($1)', [given]);
  await waitUntil(async () => (await own.waiting()).some((pid) => pid !== given));
  expect((await lab.warehouse.query('SELECT FROM bronze.told')).rowCount).not.toBe(0);
  expect((await handle.describe()).status.name).toBe('RUNNING');
  await own.awaitStandbys('');
  expect(await handle.result()).toMatchObject({ outcome: 'committed', restarts: 0 });
  await expectSameRows(lab, 't', 'bronze.told');
});

/** Waits until a stream has told the source how far it has come; returns whether that is past the last change. */
async function acknowledgedPast(slot: string): Promise<boolean> {
  const { rows } = await own.lab.warehouse.query<{ lsn: string }>(
    'SELECT last_commit_lsn::text AS lsn FROM bronze.cdc_positions WHERE slot = $1',
    [slot],
  );
  let past: boolean | undefined;
  await waitUntil(async () => {
    const found = await own.lab.source.query<{ past: boolean }>(
      `SELECT s.confirmed_flush_lsn > $2::pg_lsn AS past
         FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid
        WHERE s.slot_name = $1 AND r.flush_lsn IS NOT NULL`,
      [slot, rows[0]?.lsn],
    );
    past = found.rows[0]?.past;
    return past !== undefined;
  });
  return past === true;
}

test('a run whose copies wait for a standby says so, and ends within seconds when it is cancelled', async () => {
  const { lab } = own;
  await lab.source.query('CREATE TABLE many AS SELECT i AS id FROM generate_series(1, 5000) AS i');
  await lab.extract({ table: 't' });
  const held = await HeldCopies.hold(lab, 'before each mark');
  const handle = await lab.start({ table: 'many', chunkSize: '64kB' });
  await held.reached();
  await own.awaitStandbys('away');
  await held.release();
  await waitUntil(async () => (await heartbeats(handle)).includes('synchronous_standby_names is \\"away\\"'));
  await handle.cancel();
  await waitUntil(async () => (await handle.describe()).status.name === 'CANCELLED', 15_000);
  await own.awaitStandbys('');
  expect(await lab.leftoversAtLast()).toEqual([]);
  // those that looked what the commits wait for, which are idle
  const looked = `SELECT FROM pg_stat_activity WHERE query LIKE '%SyncRep%' AND pid <> pg_backend_pid()`;
  await waitUntil(async () => (await lab.warehouse.query(looked)).rowCount === 0, 10_000);
});

test('so can a capture in its first copy', async () => {
  const { lab, captures } = own;
  const slot = captures.slotName();
  const held = await HeldCopies.hold(lab, 'before each mark');
  const handle = await captures.start({ tables: ['t'], slot });
  await held.reached();
  await own.awaitStandbys('away');
  await held.release();
  await own.untilOneWaits();
  await handle.cancel();
  await waitUntil(async () => (await handle.describe()).status.name === 'CANCELLED', 15_000);
  await own.awaitStandbys('');
  expect(await lab.leftoversAtLast()).toEqual([]);
  expect(await captures.slots(slot)).toBe(0);
});

/** Returns what the activities of a run tell of themselves, as people see it. */
async function heartbeats(handle: WorkflowHandle): Promise<string> {
  const { raw } = await handle.describe();
  const told =
    raw.pendingActivities?.flatMap(({ heartbeatDetails }) => heartbeatDetails?.payloads ?? []) ?? [];
  return told.map(({ data }) => Buffer.from(data ?? []).toString()).join('\n');
}
