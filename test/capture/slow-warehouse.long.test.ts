// @module-tag long
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { walsenderOf } from './walsender.ts';

/** After this long without an answer the source gives a stream up, and the worker gives up one that stands still. */
const SOURCE_WAITS = '3s';
const WORKER_WAITS = '2 seconds';
const LONGER_MS = 8_000;

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
  const superuser = await lab.connect('source');
  await superuser.query(
    `ALTER ROLE extractor IN DATABASE source_${lab.name} SET wal_sender_timeout = '${SOURCE_WAITS}'`,
  );
  const handle = await captures.start({
    tables: ['t'],
    slot,
    initialCopy: false,
    stallTimeout: WORKER_WAITS,
  });
  await captures.untilStreaming(handle);
  await captures.untilWritten(slot);
  const walsender = await walsenderOf(captures, slot);
  const blocker = await lab.connect('warehouse');
  await blocker.query('BEGIN; LOCK TABLE bronze.cdc_changes IN SHARE MODE');
  await lab.source.query(
    `UPDATE t SET v = repeat('w', 100); INSERT INTO t SELECT i, repeat('x', 2000) FROM generate_series(100, 20000) i`,
  );
  await sleep(LONGER_MS);
  expect(await walsenderOf(captures, slot)).toBe(walsender);
  const { rows } = await lab.source.query<{ held: boolean }>(
    `SELECT confirmed_flush_lsn < pg_current_wal_lsn() - 1000000 AS held FROM pg_replication_slots WHERE slot_name = $1`,
    [slot],
  );
  expect(rows).toEqual([{ held: true }]);
  await blocker.query('COMMIT');
  await captures.untilWritten(slot);
  expect((await captures.changes(slot)).length).toBe(19_904);
  expect(await walsenderOf(captures, slot)).toBe(walsender);
  await captures.end(handle, slot);
});
