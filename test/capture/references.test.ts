import { afterAll, beforeAll, expect, test } from 'vitest';
import { readCapture } from '../../src/bronze/cdc/positions.ts';
import { holdSlot } from '../../src/capture/hold-slot.ts';
import { finishCopy, isCopyWanted } from '../../src/capture/copy-tables.ts';
import type { CaptureReference } from '../../src/contract/capture-activities.ts';
import { connectDatabases, type ConnectedDatabases } from '../../src/runtime/connect-databases.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
let captures: CaptureLab;
let databases: ConnectedDatabases;
beforeAll(async () => {
  lab = await Lab.open();
  captures = await CaptureLab.open(lab);
  databases = connectDatabases(lab.configuration());
  await lab.source.query('CREATE TABLE base (id int PRIMARY KEY); INSERT INTO base VALUES (1)');
});
afterAll(async () => {
  await databases.close();
  await lab.close();
});

async function recordOf(slot: string): Promise<Record<string, unknown>[]> {
  const { rows } = await lab.warehouse.query<Record<string, unknown>>(
    `SELECT capture_id::text AS "captureId", status, position::text FROM bronze.cdc_positions WHERE slot = $1`,
    [slot],
  );
  return rows;
}

const held = (reference: CaptureReference, onWaiting: () => void = () => undefined) =>
  holdSlot(
    {
      ...reference,
      source: 'default',
      runId: 'earlier',
      workflowId: 'earlier',
      holder: 'h',
      slot: 'permanent',
    },
    {
      warehouse: databases.warehouse,
      source: databases.sourceNamed('default'),
      signal: new AbortController().signal,
    },
    onWaiting,
  );

test('what is dropped in the middle of its first copy stays dropped', async () => {
  await lab.source.query('CREATE TABLE early (id int PRIMARY KEY); CREATE TABLE late (id int PRIMARY KEY)');
  const slot = captures.slotName();
  const copying = await HeldCopies.hold(lab, 'before each mark');
  const handle = await captures.start({ tables: ['base', 'early', 'late'], slot });
  await copying.reached();
  await captures.drop({ slot });
  await copying.release();
  await expectFailure(handle.result(), 'SlotLost', `of slot "${slot}" was dropped`);
  expect(await recordOf(slot)).toMatchObject([{ status: 'dropped' }]);
  expect(await captures.slots(slot)).toBe(0);
});

test(
  'what is dropped while its slot waits for open transactions stays dropped too',
  { tags: 'long' },
  async () => {
    const slot = captures.slotName();
    const writer = await lab.connect('source');
    await writer.query('BEGIN; SELECT pg_current_xact_id()');
    const handle = await captures.start({ tables: ['base'], slot });
    await waitUntil(async () => (await captures.slots(slot)) === 1);
    await captures.drop({ slot });
    await writer.query('COMMIT');
    await expectFailure(handle.result(), 'SlotLost', 'was dropped while');
    expect(await recordOf(slot)).toMatchObject([{ status: 'dropped' }]);
    expect(await captures.slots(slot)).toBe(0);
  },
);

test(
  'a slot that is made for a capture that was dropped meanwhile is dropped too',
  { tags: 'long' },
  async () => {
    const slot = captures.slotName();
    await captures.catchUp({ tables: ['base'], slot });
    const [{ captureId } = { captureId: '' }] = await recordOf(slot);
    await lab.source.query('RESET ROLE');
    await lab.source.query('SELECT pg_drop_replication_slot($1)', [slot]);
    const writer = await lab.connect('source');
    await writer.query('BEGIN; SELECT pg_current_xact_id()'); // a new slot waits for it
    const onWaiting = () => {
      void lab.warehouse
        .query(`UPDATE bronze.cdc_positions SET status = 'dropped' WHERE slot = $1`, [slot])
        .then(async () => writer.query('COMMIT'));
    };
    await expect(held({ captureId: String(captureId), slotName: slot }, onWaiting)).rejects.toMatchObject({
      kind: 'SlotLost',
    });
    expect(await captures.slots(slot)).toBe(0);
  },
);

test('a capture whose source is gone is dropped where the input says so, and its copies are free', async () => {
  await lab.source.query('CREATE TABLE orphan (id int PRIMARY KEY); INSERT INTO orphan VALUES (1)');
  const slot = captures.slotName();
  await captures.catchUp({ tables: ['orphan'], slot, mirror: true });
  // as it is told to another worker, the source does not exist
  await lab.warehouse.query(`UPDATE bronze.cdc_positions SET source = 'retired' WHERE slot = $1`, [slot]);
  const retired = { slot, source: 'retired' };
  await expect(captures.drop(retired)).rejects.toMatchObject({ cause: { type: 'UnknownSource' } });
  const dropped = { slot: false, publication: false, bookkeeping: true };
  expect(await captures.drop({ ...retired, sourceGone: true })).toEqual(dropped);
  const keys = `SELECT FROM pg_indexes WHERE schemaname = 'bronze_data' AND tablename LIKE 'br_orphan%'`;
  expect((await lab.warehouse.query(keys)).rowCount).toBe(0);
  await lab.extract({ table: 'orphan' });
  await expect(captures.drop({ ...retired, slot: 'unheard_of', sourceGone: true })).rejects.toMatchObject({
    cause: { type: 'UndefinedObject' },
  });
  await captures.drop({ slot, publication: slot });
});

test(
  'what is left of a capture leaves another alone that has its number since the warehouse was restored',
  { tags: 'long' },
  async () => {
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['base'], slot });
    await captures.untilStreaming(handle);
    const [record] = await recordOf(slot);
    await handle.signal('pause');
    await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
    const before = await recordOf(slot);
    for (const other of [{ slotName: 'earlier_slot' }, { slotName: slot, source: 'second' }]) {
      const reference = { captureId: String(record?.captureId), ...other };
      const copied = { ...reference, source: other.source ?? 'default', runId: 'earlier', table: { schema: 'public', name: 'base' } }; // prettier-ignore
      const { warehouse } = databases;
      const lost = { kind: 'SlotLost' };
      await expect(warehouse.write({}, async (s) => readCapture(s, reference))).rejects.toMatchObject(lost);
      await expect(warehouse.write({}, async (s) => isCopyWanted(s, copied))).rejects.toMatchObject(lost);
      const context = { deletes: 'hard' as const, sourceUri: '', readSource: async () => [] as never };
      const finish = { ...copied, deletes: 'hard' as const };
      await expect(warehouse.write({}, async (s) => finishCopy(s, finish, context))).rejects.toMatchObject(
        lost,
      );
    }
    await expect(
      held({ captureId: String(record?.captureId), slotName: 'earlier_slot' }),
    ).rejects.toMatchObject({ kind: 'SlotLost' });
    expect(await recordOf(slot)).toEqual(before);
    await captures.end(handle, slot);
  },
);
