// @module-tag long
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CaptureLab } from '../setup/capture-lab.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import type { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { OwnSource } from './own-source.ts';
import { whileStopped } from './walsender.ts';

let own: OwnSource;
let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  own = await OwnSource.open();
  ({ lab, captures } = own);
});
afterAll(async () => own[Symbol.asyncDispose]());

test('rows that come before the copy of an added table is planned are there, whatever columns came or went since', async () => {
  await lab.source.query(`CREATE TABLE added_first (id int PRIMARY KEY); INSERT INTO added_first VALUES (1);
    CREATE TABLE added_later (id int PRIMARY KEY, v int); INSERT INTO added_later VALUES (1, 1)`);
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['t'], slot, mirror: true });
  await captures.untilStreaming(handle);
  const addAround = async (tables: string[], meanwhile: string) => {
    const held = await HeldCopies.hold(lab, 'before the first');
    await handle.executeUpdate('addTables', { args: [tables] });
    await held.reached();
    await lab.source.query(meanwhile);
    await captures.untilWritten(slot);
    await held.release();
    await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
    await captures.untilWritten(slot);
    // a column added without a change is not visible yet
    await expectSameRows(lab, 'added_later', 'bronze.br_added_later', { columns: ['id'] });
  };
  await addAround(
    ['added_first', 'added_later'],
    'INSERT INTO added_later VALUES (2, 2); ALTER TABLE added_later ADD COLUMN w int DEFAULT 7',
  );
  await handle.executeUpdate('removeTables', { args: [['added_later']] });
  await lab.warehouse.query('DROP TABLE bronze.br_added_later');
  await addAround(
    ['added_later'],
    'ALTER TABLE added_later DROP COLUMN v; INSERT INTO added_later VALUES (3, 3)',
  );
  await captures.end(handle, slot);
});

test('a capture has a bounded number of tables, from the beginning and whatever is added', async () => {
  await lab.source.query('CREATE SCHEMA many');
  for (let from = 1; from <= 5_000; from += 500) {
    await lab.source.query(`DO $$ BEGIN FOR n IN ${from}..${from + 499} LOOP
      EXECUTE format('CREATE TABLE many.t%s (id int PRIMARY KEY)', n); END LOOP; END $$`);
  }
  const tooMany = 'The capture would have 5001 tables, and one has 5000 at the most';
  const slot = captures.slotName();
  const refused = await captures.start({ tables: ['t', 'many.*'], slot });
  await expectFailure(refused.result(), 'InvalidInput', tooMany);
  const handle = await captures.start({ tables: ['t'], slot });
  await captures.untilStreaming(handle);
  await expect(handle.executeUpdate('addTables', { args: [['many.*']] })).rejects.toMatchObject({
    cause: { message: expect.stringContaining(tooMany) },
  });
  await captures.end(handle, slot);
});

test('a holder that was given up, and records its snapshot late, leaves no gap between copy and changes', async () => {
  await lab.source.query('CREATE TABLE held_twice (id int PRIMARY KEY); INSERT INTO held_twice VALUES (1)');
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['t'], slot, mirror: true });
  await captures.untilStreaming(handle);
  const held = await HeldCopies.hold(lab, 'before the first');
  await handle.executeUpdate('addTables', { args: [['held_twice']] });
  await held.reached();
  await lab.source.query('INSERT INTO held_twice VALUES (2)');
  await captures.untilWritten(slot);
  await lab.warehouse.query(
    `UPDATE bronze.cdc_tables SET copied_at = $1 WHERE "table" = 'held_twice' AND status = 'copying'`,
    [await own.endOfLog()],
  );
  await held.release();
  await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
  await captures.untilWritten(slot);
  await expectSameRows(lab, 'held_twice', 'bronze.br_held_twice');
  await captures.end(handle, slot);
});

test('a run that replaces a copy before changes are applied to it does not become that copy', async () => {
  await lab.source.query(`CREATE TABLE replaced (id int PRIMARY KEY, v text);
    INSERT INTO replaced VALUES (1, 'a'), (2, 'b')`);
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['t'], slot, mirror: true });
  await captures.untilStreaming(handle);
  const held = await HeldCopies.hold(lab, 'before the first');
  await handle.executeUpdate('addTables', { args: [['replaced']] });
  await held.reached();
  const keeper = await lab.connect('warehouse');
  await keeper.query('BEGIN; SELECT FROM bronze.cdc_positions FOR UPDATE');
  await held.release();
  const committed = `SELECT FROM bronze.extraction_targets WHERE target = 'br_replaced'`;
  await waitUntil(async () => (await lab.warehouse.query(committed)).rowCount === 1);
  // what a run leaves that commits between the copy and its end
  await lab.warehouse.query(`DELETE FROM bronze.br_replaced WHERE id = 2;
    UPDATE bronze.extraction_targets SET run_id = 'another' WHERE target = 'br_replaced'`);
  await keeper.query('COMMIT');
  await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
  await lab.source.query(`UPDATE replaced SET v = 'c' WHERE id = 1`);
  await captures.untilWritten(slot);
  await expectSameRows(lab, 'replaced', 'bronze.br_replaced');
  await captures.end(handle, slot);
});

test('a slot for a copy that waits for open transactions goes with its capture', async () => {
  await lab.source.query('CREATE TABLE waiting (id int PRIMARY KEY)');
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['t'], slot, mirror: true });
  await captures.untilStreaming(handle);
  const writer = await lab.connect('source');
  await writer.query('BEGIN; SELECT pg_current_xact_id()');
  await handle.executeUpdate('addTables', { args: [['waiting']] });
  const slots = async () =>
    (await lab.source.query('SELECT FROM pg_replication_slots WHERE temporary')).rowCount;
  await waitUntil(async () => (await slots()) === 1);
  await captures.end(handle, slot);
  await waitUntil(async () => (await slots()) === 0, 20_000);
  expect(await slots()).toBe(0); // while the transaction is open
  await writer.query('ROLLBACK');
});

test('what the copy of an added table has already is not logged by a stream that comes later', async () => {
  await lab.source
    .query(`CREATE TABLE early (id int PRIMARY KEY); CREATE TABLE joining (id int PRIMARY KEY, v int);
    INSERT INTO joining VALUES (1, 0), (2, 0)`);
  const slot = captures.slotName();
  const handle = await captures.start({ tables: ['early'], slot, mirror: true });
  await captures.untilStreaming(handle);
  await captures.untilWritten(slot);
  await whileStopped(own, slot, async () => {
    // the snapshot of the copy waits for the open transaction, and so comes after the update
    const open = await lab.connect('source');
    await open.query(`BEGIN; INSERT INTO t VALUES (${own.nextRow()})`);
    await handle.executeUpdate('addTables', { args: [['joining']] });
    // the stream describes this change without the column that the copy has
    await lab.source.query('UPDATE joining SET v = 1; ALTER TABLE joining ADD COLUMN w int DEFAULT 7');
    await lab.source.query('UPDATE joining SET w = 9 WHERE id = 2');
    await open.query('COMMIT');
    await waitUntil(async () => (await captures.status(handle)).copying.length === 0);
  });
  await lab.source.query('UPDATE joining SET v = 2 WHERE id = 1');
  await captures.untilWritten(slot);
  expect((await captures.changes(slot)).map(({ data }) => data)).toEqual(['{"v": 2, "w": 7, "id": 1}']);
  await expectSameRows(lab, 'joining', 'bronze.br_joining');
  await captures.end(handle, slot);
});
