import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CaptureHandle, CaptureLab } from '../setup/capture-lab.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import type { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { OwnSource } from './own-source.ts';
import { pendingActivities } from './pending-activities.ts';

let own: OwnSource;
let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  own = await OwnSource.open();
  ({ lab, captures } = own);
});
afterAll(async () => own[Symbol.asyncDispose]());

describe('a slot that holds back more than it may', () => {
  /** An open transaction makes the slot retain WAL from that point on. */
  async function holdBack(): Promise<Client> {
    const open = await lab.connect('source');
    await open.query(`BEGIN; INSERT INTO t VALUES (${own.nextRow()});
      SELECT pg_logical_emit_message(false, 'filling', repeat('x', 2000000))`);
    return open;
  }

  test('is told of, or dropped where the input says so, and the capture ends with the reason', async () => {
    const [warned, dropped] = [captures.slotName(), captures.slotName()];
    const limit = { tables: ['t'], initialCopy: false, maxSlotLag: '1MB' };
    const warning = await captures.start({ ...limit, slot: warned });
    const dropping = await captures.start({ ...limit, slot: dropped, onSlotLag: 'drop' });
    await Promise.all([captures.untilStreaming(warning), captures.untilStreaming(dropping)]);
    await Promise.all([captures.untilWritten(warned), captures.untilWritten(dropped)]);
    const open = await holdBack();
    await expectFailure(
      dropping.result(),
      'SlotLagExceeded',
      /held back .*MB.*more than 1 MB, and was dropped/,
    );
    expect(await captures.slots(dropped)).toBe(0);
    await waitUntil(async () =>
      (await captures.status(warning)).warnings.some((one) => one.includes('"maxSlotLag"')),
    );
    expect((await captures.status(warning)).phase).toBe('streaming');
    await open.query('COMMIT');
    await captures.end(warning, warned);
  });

  test(
    'lets no copy of an added table go on until the stream has caught up, where the input says so',
    { tags: 'long' },
    async () => {
      await lab.source.query('CREATE TABLE added (id int PRIMARY KEY); INSERT INTO added VALUES (1), (2)');
      const slot = captures.slotName();
      const limit = { initialCopy: true, mirror: true, maxSlotLag: '1MB', onSlotLag: 'pause' as const };
      await lab.source.query('CREATE TABLE base (id int PRIMARY KEY)');
      const handle = await captures.start({ ...limit, tables: ['base'], slot });
      await captures.untilStreaming(handle);
      await captures.untilWritten(slot);
      const open = await holdBack();
      // the snapshot of its copy waits for the open transaction
      await handle.executeUpdate('addTables', { args: [['added']] });
      await waitUntil(async () =>
        (await captures.status(handle)).warnings.some((one) => one.includes('"maxSlotLag"')),
      );
      const stuck = await lab.connect('warehouse');
      await stuck.query('BEGIN; LOCK TABLE bronze.cdc_changes IN SHARE MODE');
      await open.query('INSERT INTO base VALUES (1); COMMIT');
      await waitUntil(async () => (await snapshotsOf(handle)) === 2);
      await lab.warehouse.query('SELECT pg_sleep(1)');
      expect((await captures.status(handle)).copying).toEqual(['public.added']);
      expect(await pendingActivities(handle)).not.toContain('copySmallTables');
      await stuck.query('COMMIT');
      await waitUntil(async () => (await captures.status(handle)).copying.length === 0, 60_000);
      await captures.untilWritten(slot);
      await expectSameRows(lab, 'added', 'bronze.br_added');
      await captures.end(handle, slot);
    },
  );
});

/** @returns how many snapshots were lent to the copies of a capture */
async function snapshotsOf(handle: CaptureHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  const signals = (events ?? []).map((event) => event.workflowExecutionSignaledEventAttributes?.signalName);
  return signals.filter((name) => name === 'snapshotExported').length;
}
