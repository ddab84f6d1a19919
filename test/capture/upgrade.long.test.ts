// @module-tag long
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CaptureLab } from '../setup/capture-lab.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  captures = await CaptureLab.open(lab);
});
afterAll(async () => lab.close());

test('a capture of an earlier version goes on, although the warehouse could not be migrated when the new worker started', async () => {
  await lab.source.query('CREATE TABLE t (id int PRIMARY KEY, v jsonb); INSERT INTO t VALUES (1)');
  const slot = captures.slotName();
  const stop = await lab.startWorkers();
  const handle = await captures.start({ tables: ['t'], slot, mirror: true });
  await captures.untilStreaming(handle);
  await captures.untilWritten(slot);
  await stop();
  await lab.warehouse.query(`ALTER TABLE bronze.cdc_changes DROP COLUMN json_nulls;
      DELETE FROM bronze.datakit_migrations WHERE name = '011-json-nulls.sql'`);
  await lab.source.query(`INSERT INTO t VALUES (2, 'null'), (3, '{}')`);
  await lab.startWorkers(); // unlike a process of its own, they do not migrate as they start
  await captures.untilWritten(slot);
  await expectSameRows(lab, 't', 'bronze.br_t');
  expect((await captures.changes(slot)).map(({ data }) => data)).toEqual([
    '{"v": null, "id": 2}',
    '{"v": {}, "id": 3}',
  ]);
  await captures.end(handle, slot);
});
