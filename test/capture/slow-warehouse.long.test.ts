// @module-tag long
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { administer } from '../setup/administer.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';

let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  lab = await Lab.open();
  captures = await CaptureLab.open(lab);
  await lab.source.query(
    `CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')`,
  );
});
afterAll(async () => lab.close());

test('a warehouse that is slow, for longer than a stream may stand still, loses neither the connection nor a change', async () => {
  const slot = captures.slotName();
  const superuser = inject('sourceAdmin').replace(/\/[^/]*$/, `/source_${lab.name}`);
  await administer(superuser, [`ALTER ROLE extractor SET wal_sender_timeout = '3s'`]);
  const handle = await captures.start({ tables: ['t'], slot, initialCopy: false, stallTimeout: '2 seconds' });
  await captures.untilStreaming(handle);
  await captures.untilWritten(slot);
  const walsender = async () =>
    (
      await lab.source.query<{ pid: number }>(
        'SELECT active_pid AS pid FROM pg_replication_slots WHERE slot_name = $1',
        [slot],
      )
    ).rows[0]?.pid;
  const before = await walsender();
  const blocker = await lab.connect('warehouse');
  await blocker.query('BEGIN; LOCK TABLE bronze.cdc_changes IN SHARE MODE');
  await lab.source.query(
    `UPDATE t SET v = repeat('w', 100); INSERT INTO t SELECT i, repeat('x', 2000) FROM generate_series(100, 20000) i`,
  );
  await lab.source.query('SELECT pg_sleep(8)');
  expect(await walsender()).toBe(before);
  const { rows } = await lab.source.query<{ held: boolean }>(
    `SELECT confirmed_flush_lsn < pg_current_wal_lsn() - 1000000 AS held FROM pg_replication_slots WHERE slot_name = $1`,
    [slot],
  );
  expect(rows).toEqual([{ held: true }]);
  await blocker.query('COMMIT');
  await captures.untilWritten(slot);
  expect((await captures.changes(slot)).length).toBe(19_904);
  expect(await walsender()).toBe(before);
  await captures.end(handle, slot);
  await administer(superuser, [`ALTER ROLE extractor RESET wal_sender_timeout`]);
});
