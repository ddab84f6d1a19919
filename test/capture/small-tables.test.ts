import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createActivities } from '../../src/activities/create-activities.ts';
import type { CopySmallTablesRequest } from '../../src/contract/capture-activities.ts';
import { connectDatabases } from '../../src/runtime/connect-databases.ts';
import { CaptureLab } from '../setup/capture-lab.ts';
import { beginHanging } from '../setup/hang.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { scheduledActivitiesOf } from '../setup/scheduled-activities.ts';

let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  lab = await Lab.open();
  captures = await CaptureLab.open(lab);
});
afterAll(async () => lab.close());

const TABLES = Array.from({ length: 10 }, (_, index) => `small_${index + 1}`);

test('small tables of a capture are copied in packs without a gap while they are written to, and others by themselves', async () => {
  await lab.source.query(`CREATE TYPE pair AS (a int, b text); CREATE TABLE filtered (id int PRIMARY KEY);
    INSERT INTO filtered VALUES (-1), (1), (2)`);
  for (const table of TABLES)
    await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, doc jsonb, pairs pair[]);
      INSERT INTO ${table} SELECT i, jsonb_build_object('of', '${table}'), ARRAY[(i, 'x')::pair] FROM generate_series(1, 3) i`);
  const slot = captures.slotName();
  await lab.source.query(
    `CREATE PUBLICATION ${slot} FOR TABLE ${TABLES.join(', ')}, filtered WHERE (id > 0)`,
  );
  const writes = new AbortController();
  const writer = write(writes.signal);
  const handle = await captures.start({
    tables: [...TABLES, 'filtered'],
    slot,
    mirror: true,
    parallelism: 1,
  });
  await captures.untilStreaming(handle);
  writes.abort();
  await writer;
  await captures.untilWritten(slot);
  for (const table of TABLES)
    await expectSameRows(lab, table, `bronze.br_${table}`, { as: { pairs: 'pairs::text' } });
  await expectSameRows(lab, 'filtered', 'bronze.br_filtered', { where: 'id > 0' });
  const scheduled = await scheduledActivitiesOf(handle);
  const counts = ['copySmallTables', 'planCopy', 'finishCopy'].map(
    (one) => scheduled.filter((type) => type === one).length,
  );
  expect(counts).toEqual([4, 1, 1]);
  expect(await captures.status(handle)).toMatchObject({ copying: [], givenUp: [], warnings: [] });
  const moments = await lab.warehouse.query(
    `SELECT DISTINCT snapshot_at FROM bronze.extraction_runs WHERE run_id LIKE $1 || '/%'`,
    [handle.firstExecutionRunId],
  );
  expect(moments.rowCount).toBe(1);
  await captures.end(handle, slot);
  await lab.source.query(`DROP PUBLICATION ${slot}`);
});

test('a pack is tried again while its last attempt hangs: it tells the same result, and copies nothing twice', async () => {
  await lab.source.query(
    'CREATE TABLE told (id int PRIMARY KEY); INSERT INTO told VALUES (1), (2); CREATE TABLE told_late (id int PRIMARY KEY)',
  );
  const slot = captures.slotName();
  await captures.catchUp({ tables: ['told', 'told_late'], slot, mirror: true });
  const { rows } = await lab.warehouse.query<{ captureId: string }>(
    `UPDATE bronze.cdc_tables SET status = 'copying' WHERE "table" IN ('told', 'told_late') RETURNING capture_id::text AS "captureId"`,
  );
  const snapshot = await exportSnapshot();
  const databases = connectDatabases(lab.configuration());
  const { copySmallTables } = createActivities(databases);
  const request: CopySmallTablesRequest = {
    workflowId: 'by hand',
    captureId: rows[0]?.captureId ?? '',
    source: 'default',
    slotName: slot,
    tables: ['told', 'told_late'].map((name) => ({ schema: 'public', name, runId: `by hand/${name}` })),
    snapshot,
    parallelism: 1,
    deletes: 'hard',
  };
  const attempt = async (number: number, copy = copySmallTables) =>
    new MockActivityEnvironment(
      { attempt: number, namespace: 'by hand' },
      { logger: new DefaultLogger('ERROR', () => undefined) },
    ).run(copy, request);
  // a worker that is asked to stop begins no table
  expect(
    await attempt(1, createActivities({ ...databases, isStopping: () => true }).copySmallTables),
  ).toEqual([]);
  const nothing = { outcome: 'copied', bytes: expect.any(Number) as number, warnings: [] };
  const told = [
    { ...nothing, rows: 2 },
    { ...nothing, rows: 0 },
  ];
  const plans = `SELECT run_id, plan_id FROM bronze.extraction_runs WHERE workflow_id = 'by hand' ORDER BY run_id`;
  expect(await attempt(1)).toEqual(told);
  const planned = (await lab.warehouse.query(plans)).rows;
  // as if the worker hung while it finished the copy of the second table
  await lab.warehouse.query(`UPDATE bronze.cdc_tables SET status = 'copying' WHERE "table" = 'told_late'`);
  const hanging = await lab.connect('warehouse', 'loader');
  await beginHanging(hanging, 'warehouse', 'by hand/told_late');
  await hanging.query('SELECT FROM bronze.cdc_positions FOR UPDATE');
  expect(await attempt(2)).toEqual(told);
  await databases.close();
  expect(planned.length).toBe(2);
  expect((await lab.warehouse.query(plans)).rows).toEqual(planned);
  const live = await lab.warehouse.query(
    `SELECT FROM bronze.cdc_tables WHERE "table" IN ('told', 'told_late') AND status = 'live'`,
  );
  expect(live.rowCount).toBe(2);
  await captures.drop({ slot });
});

/** Changes the tables in turn, until told to stop. */
async function write(until: AbortSignal): Promise<void> {
  for (let id = 4; !until.aborted; id += 1) {
    const table = TABLES[id % TABLES.length] ?? '';
    await lab.source.query(`INSERT INTO ${table} VALUES (${id}, '{}', NULL);
      UPDATE ${table} SET doc = '{"changed": ${id}}' WHERE id = 1; DELETE FROM ${table} WHERE id = 2;
      INSERT INTO filtered VALUES (${id}), (${-id})`);
  }
}

/** Exports a snapshot that lasts as long as the lab. */
async function exportSnapshot(): Promise<CopySmallTablesRequest['snapshot']> {
  const holder = await lab.connect('source');
  await holder.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
  const { rows } = await holder.query<CopySmallTablesRequest['snapshot']>(
    'SELECT pg_export_snapshot() AS id, now()::text AS "takenAt"',
  );
  const [snapshot] = rows;
  if (snapshot === undefined) throw new Error('no snapshot');
  return snapshot;
}
