import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dropCapture } from '../../src/capture/drop-capture.ts';
import { Database } from '../../src/postgres/database.ts';
import { ReplicationSession } from '../../src/postgres/replication/replication-session.ts';
import { WalStream } from '../../src/postgres/replication/wal-stream.ts';
import type { CaptureLab } from '../setup/capture-lab.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import type { Lab } from '../setup/lab.ts';
import { pendingFailure } from '../setup/pending-failure.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { OwnSource } from './own-source.ts';
import { endStream } from './walsender.ts';

let own: OwnSource;
let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  own = await OwnSource.open();
  ({ lab, captures } = own);
});
afterAll(async () => own[Symbol.asyncDispose]());

describe('before it streams, a capture compares its position with the slot:', () => {
  test('a slot that nobody knows a position for is refused, and left as it is', async () => {
    const slot = captures.slotName();
    await own.asAdmin(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    await expectFailure(own.catchUp(slot), 'SlotConflict', /has no position for it/);
    await own.asAdmin(
      `SELECT pg_drop_replication_slot('${slot}'); SELECT pg_create_physical_replication_slot('${slot}')`,
    );
    await expectFailure(own.catchUp(slot), 'SlotConflict', /is a physical slot/);
    await own.asAdmin(`SELECT pg_drop_replication_slot('${slot}')`);
  });

  test('a slot that is gone, and one that was made anew', async () => {
    const slot = await own.captured();
    await own.asAdmin(`SELECT pg_drop_replication_slot('${slot}')`);
    await expectFailure(own.catchUp(slot), 'SlotLost', /no longer exists; the warehouse has changes up to/);
    await own.insert();
    await own.asAdmin(`SELECT pg_create_logical_replication_slot('${slot}', 'pgoutput')`);
    await expectFailure(
      own.catchUp(slot),
      'PositionConflict',
      /was dropped and created again, or .*B of log lie between/,
    );
    expect(await captures.drop({ slot })).toEqual({ slot: true, publication: true, bookkeeping: true });
  });

  test('a warehouse that lacks the end of the first copy, as one that was restored or failed over', async () => {
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['t'], slot, mirror: true });
    await captures.untilStreaming(handle);
    await lab.warehouse.query(`UPDATE bronze.cdc_positions SET status = 'copying' WHERE slot = $1`, [slot]);
    await expectFailure(
      handle.result(),
      'PositionConflict',
      /no longer knows that the first copy on slot .* has ended/,
    );
    expect(await captures.drop({ slot })).toEqual({ slot: true, publication: true, bookkeeping: true });
  });

  test(
    'a slot that somebody else has advanced, even so far that it needs no log from before',
    { tags: 'long' },
    async () => {
      const slot = await own.captured();
      await own.insert();
      await own.asAdmin('SELECT pg_log_standby_snapshot()');
      await own.asAdmin(`SELECT pg_replication_slot_advance('${slot}', pg_current_wal_lsn())`);
      await expectFailure(
        own.catchUp(slot),
        'PositionConflict',
        /somebody else has read from it or advanced it/,
      );
      await captures.drop({ slot });
    },
  );

  test('a slot that is behind, because an acknowledgement was lost: nothing comes twice', async () => {
    const slot = await own.captured();
    await own.asAdmin(`SELECT pg_copy_logical_replication_slot('${slot}', '${slot}_behind')`);
    await own.insert();
    await own.catchUp(slot);
    const before = await captures.changes(slot);
    await own.asAdmin(`SELECT pg_drop_replication_slot('${slot}');
      SELECT pg_copy_logical_replication_slot('${slot}_behind', '${slot}'); SELECT pg_drop_replication_slot('${slot}_behind')`);
    await own.insert();
    await expect(own.catchUp(slot)).resolves.toMatchObject({
      changes: 1,
    });
    expect(await captures.changes(slot)).toHaveLength(before.length + 1);
    await expectSameRows(lab, 't', 'bronze.br_t');
    await captures.drop({ slot });
  });

  test('a slot that another session reads from is waited for', { tags: 'long' }, async () => {
    const slot = await own.captured();
    const other = await ReplicationSession.open(
      new Database({ label: 'other', settings: connectionTo(lab.sourceUrl) }),
      'somebody else',
      new AbortController().signal,
    );
    const stream = new WalStream(
      `START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (proto_version '1', publication_names '${slot}')`,
      {
        onData: () => undefined,
        onKeepalive: () => undefined,
        onPause: () => undefined,
        onEnd: () => undefined,
      },
    );
    other.start(stream);
    await stream.started;
    const handle = await captures.start({ tables: ['t'], slot, mirror: true, until: 'caught-up' });
    expect(await pendingFailure(handle)).toMatch(/is active for PID \d+/);
    await other[Symbol.asyncDispose]();
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'caught up' });
    await captures.drop({ slot });
  });
});

test(
  'a slot that is advanced between two attempts of a stream is noticed by the next',
  { tags: 'long' },
  async () => {
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['t'], slot, initialCopy: false });
    await captures.untilStreaming(handle);
    await captures.untilWritten(slot);
    await endStream(own, slot);
    await waitUntil(async () => {
      await own.insert();
      const advance = own.asAdmin(`SELECT pg_replication_slot_advance('${slot}', pg_current_wal_lsn())`);
      return advance.then(
        () => true,
        () => endStream(own, slot).then(() => false), // the stream was faster
      );
    });
    await waitUntil(async () => (await handle.describe()).status.name !== 'RUNNING');
    await expectFailure(handle.result(), 'PositionConflict', /somebody else has read from it or advanced it/);
    await captures.drop({ slot });
  },
);

test(
  'a capture whose number another has, in a warehouse that was restored, does not go on as that one',
  { tags: 'long' },
  async () => {
    const [slot, other] = [captures.slotName(), captures.slotName()];
    const handle = await captures.start({ tables: ['t'], slot, initialCopy: false });
    await captures.untilStreaming(handle);
    await handle.signal('pause');
    await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
    await own.catchUp(other, { initialCopy: false, mirror: false });
    const ofSlot = 'WHERE capture_id = (SELECT capture_id FROM bronze.cdc_positions WHERE slot = $1)';
    for (const table of ['cdc_tables', 'cdc_changes'])
      await lab.warehouse.query(`DELETE FROM bronze.${table} ${ofSlot}`, [slot]);
    await lab.warehouse.query('DELETE FROM bronze.cdc_tables ' + ofSlot, [other]);
    await lab.warehouse.query(
      `WITH lost AS (DELETE FROM bronze.cdc_positions WHERE slot = $1 RETURNING jsonb_build_object('capture_id', capture_id) AS number),
          left_over AS (DELETE FROM bronze.cdc_positions AS p USING lost WHERE slot = $2 RETURNING p AS it, number)
     INSERT INTO bronze.cdc_positions OVERRIDING SYSTEM VALUE SELECT (jsonb_populate_record(it, number)).* FROM left_over`,
      [slot, other],
    );
    const positions = 'SELECT position::text, slot FROM bronze.cdc_positions WHERE slot = ANY ($1)';
    const before = (await lab.warehouse.query(positions, [[slot, other]])).rows;
    await own.insert();
    await handle.signal('resume');
    await expectFailure(handle.result(), 'SlotLost', RegExp(`of slot "${slot}" was dropped, or`));
    expect((await lab.warehouse.query(positions, [[slot, other]])).rows).toEqual(before);
    for (const name of [slot, other]) await captures.drop({ slot: name, publication: name });
  },
);

test("a capture that ends drops no slot that is another capture's by now", { tags: 'long' }, async () => {
  const slot = await own.captured();
  const source = new Database({ label: 'source', settings: connectionTo(lab.sourceUrl) });
  const warehouse = new Database({ label: 'warehouse', settings: lab.configuration().warehouse });
  const { signal } = new AbortController();
  const attempt = { activityId: 'drop', number: 1, scheduledAt: 0, attemptedAt: 0 };
  const nothing = { slot: false, publication: false, bookkeeping: false };
  const target = { slot, source: 'default', captureId: '0' };
  await expect(dropCapture(target, randomUUID(), { source, warehouse, signal, attempt })).resolves.toEqual(
    nothing,
  );
  await Promise.all([source, warehouse].map(async (database) => database.close()));
  expect(await captures.drop({ slot })).toEqual({ slot: true, publication: true, bookkeeping: true });
});
