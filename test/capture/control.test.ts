import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { createActivities } from '../../src/activities/create-activities.ts';
import type { ChangeTablesRequest } from '../../src/contract/capture-activities.ts';
import { captureChangesInput } from '../../src/contract/capture-changes.ts';
import { connectDatabases } from '../../src/runtime/connect-databases.ts';
import { administer } from '../setup/administer.ts';
import { CaptureLab, type CaptureHandle } from '../setup/capture-lab.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { beginHanging } from '../setup/hang.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { scheduledActivitiesOf } from '../setup/scheduled-activities.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { walsenderOf } from './walsender.ts';

let lab: Lab;
let captures: CaptureLab;
beforeAll(async () => {
  lab = await Lab.open();
  captures = await CaptureLab.open(lab);
  await lab.source
    .query(`CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'one'), (2, 'two');
    CREATE TABLE keyless (a int)`);
});
afterAll(async () => lab.close());

/** Counts how often the workflow has started to stream. */
async function streamsOf(handle: CaptureHandle): Promise<number> {
  return (await scheduledActivitiesOf(handle)).filter((type) => type === 'streamChanges').length;
}

// each has its own tables
describe.concurrent('a capture', () => {
  test(
    'names the constraint of the warehouse that a change does not fit, and goes on without it',
    { tags: 'long' },
    async () => {
      await lab.source.query('CREATE TABLE limited (id int PRIMARY KEY)');
      const request = { tables: ['limited'], slot: captures.slotName(), mirror: true };
      await captures.catchUp(request);
      await lab.warehouse.query('ALTER TABLE bronze.br_limited ADD CONSTRAINT few CHECK (id < 9)');
      await lab.source.query('INSERT INTO limited VALUES (8), (9)');
      await expectFailure(
        captures.catchUp(request),
        'SchemaConflict',
        'the constraint "few" of the bronze table',
      );
      await lab.warehouse.query('ALTER TABLE bronze.br_limited DROP CONSTRAINT few');
      await captures.catchUp(request);
      await expectSameRows(lab, 'limited', 'bronze.br_limited');
      await captures.drop({ slot: request.slot });
    },
  );

  test('is given a table while an earlier attempt at that hangs, and keeps the application from it', async () => {
    await lab.source.query('CREATE TABLE hung (a int); ALTER TABLE hung OWNER TO extractor');
    const input = { tables: ['t'], slot: captures.slotName() };
    await captures.catchUp(input);
    const { rows } = await lab.warehouse.query<{ captureId: string }>(
      'SELECT capture_id::text AS "captureId" FROM bronze.cdc_positions WHERE slot = $1',
      [input.slot],
    );
    const runId = randomUUID();
    const inSource = await lab.connect('source', 'extractor');
    await beginHanging(inSource, 'source "default"', runId);
    await inSource.query('ALTER TABLE hung REPLICA IDENTITY FULL');
    const inWarehouse = await lab.connect('warehouse', 'loader');
    await beginHanging(inWarehouse, 'warehouse', runId);
    await inWarehouse.query('SELECT FROM bronze.cdc_positions WHERE slot = $1 FOR UPDATE', [input.slot]);
    const databases = connectDatabases(lab.configuration());
    const { changeTables } = createActivities(databases);
    const request: ChangeTablesRequest = {
      runId,
      workflowId: 'by hand',
      captureId: rows[0]?.captureId ?? '',
      input: captureChangesInput.parse({ ...input, publication: input.slot, setReplicaIdentity: 'full' }),
      change: 'add',
      tables: [{ schema: 'public', name: 'hung' }],
    };
    const logger = new DefaultLogger('ERROR', () => undefined);
    const tables = await new MockActivityEnvironment({ attempt: 2 }, { logger }).run(changeTables, request);
    await databases.close();
    expect(tables).toMatchObject([{ name: 'hung' }, { name: 't' }]);
    await captures.drop({ slot: input.slot });
  });

  test(
    'names the copy that does not take a value, and the foreign key for which it cannot be let go',
    { tags: 'long' },
    async () => {
      await lab.source.query('CREATE TABLE narrowed (id int PRIMARY KEY, n int)');
      const request = { tables: ['narrowed'], slot: captures.slotName(), mirror: true };
      await captures.catchUp(request);
      await lab.warehouse.query('ALTER TABLE bronze.br_narrowed ALTER n TYPE smallint');
      await lab.source.query('INSERT INTO narrowed VALUES (1, 100000)');
      await expectFailure(
        captures.catchUp(request),
        'InvalidValue',
        /to bronze\.br_narrowed: .*\. Let the bronze table take/,
      );
      await lab.warehouse.query('ALTER TABLE bronze.br_narrowed ALTER n TYPE int');
      await captures.catchUp(request);
      await expectSameRows(lab, 'narrowed', 'bronze.br_narrowed');
      await lab.warehouse.query(`CREATE TABLE refers (id int); DO $$ BEGIN
        EXECUTE (SELECT format('ALTER TABLE refers ADD CONSTRAINT to_copy FOREIGN KEY (id) REFERENCES %s (id)', partdefid::regclass)
                   FROM pg_partitioned_table WHERE partrelid = 'bronze.br_narrowed'::regclass); END $$`);
      await expectFailure(captures.drop({ slot: request.slot }), 'SchemaConflict', /constraint to_copy/);
      await lab.warehouse.query('DROP TABLE refers');
      const dropped = await captures.drop({ slot: request.slot });
      expect(dropped).toEqual({ slot: false, publication: false, bookkeeping: true });
    },
  );

  test(
    'a table without a key is logged by its whole rows, where the input lets that be set',
    { tags: 'long' },
    async () => {
      const slot = captures.slotName();
      const request = { tables: ['keyless'], slot, setReplicaIdentity: 'full' as const };
      await captures.catchUp(request);
      await lab.source.query(
        'INSERT INTO keyless VALUES (1), (1); UPDATE keyless SET a = 2; DELETE FROM keyless',
      );
      await captures.catchUp(request);
      expect((await captures.changes(slot)).map(({ operation, old }) => `${operation} ${old}`)).toEqual([
    'INSERT null', 'INSERT null', 'UPDATE {"a": 1}', 'UPDATE {"a": 1}', 'DELETE {"a": 2}', 'DELETE {"a": 2}',
  ]); // prettier-ignore
      await captures.drop({ slot });
    },
  );

  test(
    'partitions without an identity of their own get one, where the input lets that be set',
    { tags: 'long' },
    async () => {
      await lab.source.query(`CREATE TABLE cut (id int PRIMARY KEY, v int) PARTITION BY RANGE (id);
      CREATE TABLE cut_1 PARTITION OF cut FOR VALUES FROM (0) TO (10); INSERT INTO cut VALUES (1, 1);
      ALTER TABLE cut_1 REPLICA IDENTITY NOTHING`);
      const slot = captures.slotName();
      await expect(captures.catchUp({ tables: ['cut'], slot })).rejects.toMatchObject({
        cause: { message: expect.stringMatching(/Nothing identifies the rows of public.cut_1 /) },
      });
      const request = { tables: ['cut'], slot, mirror: true, setReplicaIdentity: 'full' as const };
      await captures.catchUp(request);
      await lab.source.query('UPDATE cut SET v = 2');
      await captures.catchUp(request);
      await expectSameRows(lab, 'cut', 'bronze.br_cut');
      await captures.drop({ slot });
    },
  );

  test(
    'tables that inherit from one that is captured are not: they go on being written to, and it says so',
    { tags: 'long' },
    async () => {
      await lab.source
        .query(`CREATE TABLE elder (id int PRIMARY KEY, v int); CREATE TABLE heir () INHERITS (elder);
      INSERT INTO elder VALUES (1, 1); INSERT INTO heir VALUES (1, 1), (2, 2)`);
      const request = { tables: ['elder'], slot: captures.slotName(), mirror: true };
      const { warnings } = await captures.catchUp(request);
      expect(warnings).toEqual([expect.stringMatching(/^The rows of public.heir are not captured/)]);
      await lab.source.query('UPDATE elder SET v = v + 10');
      await captures.catchUp(request);
      await expectSameRows(lab, 'elder', 'bronze.br_elder', { where: `tableoid = 'elder'::regclass` });
      await captures.drop({ slot: request.slot });
    },
  );

  test('a capture that runs is paused, goes on, says how far it is, and is dropped', async () => {
    const slot = captures.slotName();
    const handle = await captures.start({ tables: ['t'], slot, mirror: true });
    await captures.untilStreaming(handle);
    await handle.signal('pause');
    await waitUntil(async () => (await captures.status(handle)).phase === 'paused');
    await waitUntil(async () => (await walsenderOf(captures, slot)) === null);
    await lab.source.query(`INSERT INTO t VALUES (3, 'three')`);
    await handle.signal('resume');
    await captures.untilStreaming(handle);
    // resumed before the attempt learns that it is to end
    await handle.signal('pause');
    await captures.status(handle);
    await handle.signal('resume');
    await waitUntil(async () => (await streamsOf(handle)) === 3);
    await captures.untilWritten(slot);
    await expectSameRows(lab, 't', 'bronze.br_t');
    await waitUntil(async () => (await captures.status(handle)).changes >= 1);
    expect(await captures.status(handle)).toMatchObject({
      phase: 'streaming',
      tables: ['public.t'],
      copiedRows: 2,
    });

    // nobody else may write a mirrored copy
    await expectFailure(
      lab.extract({ table: 't' }),
      'TargetConflict',
      'or end the capture and run dropCapture for',
    );

    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect(await captures.slots(slot)).toBe(1);
    await lab.source.query(`DROP PUBLICATION ${slot}`);
    await expectFailure(captures.drop({ slot: slot.slice(0, -1) }), 'UndefinedObject', slot);
    expect(await captures.drop({ slot })).toEqual({ slot: true, publication: false, bookkeeping: true });
    expect(await captures.drop({ slot })).toEqual({ slot: false, publication: false, bookkeeping: false });
    expect(await captures.slots(`${slot}%`)).toBe(0);
  });

  test(
    'a table is not removed from a publication that sends its whole schema',
    { tags: 'long' },
    async () => {
      const slot = captures.slotName();
      await lab.source.query(`CREATE SCHEMA whole; CREATE TABLE whole.a (id int PRIMARY KEY)`);
      const superuser = await lab.connect('source');
      await superuser.query(`CREATE PUBLICATION ${slot} FOR TABLES IN SCHEMA whole`);
      const handle = await captures.start({ tables: ['whole.a'], slot, initialCopy: false });
      await captures.untilStreaming(handle);
      await expectFailure(
        handle.executeUpdate('removeTables', { args: [['whole.a']] }),
        'PublicationConflict',
        'sends whole.a as one of all tables, or of all of its schema',
      );
      await captures.end(handle, slot);
    },
  );

  test('what a copy lacks is told: rows that a policy hides from the role', async () => {
    await lab.source.query(`CREATE TABLE hiding (id int PRIMARY KEY); INSERT INTO hiding VALUES (1), (2);
      ALTER TABLE hiding ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
      CREATE POLICY hides ON hiding USING (id > 1)`);
    const slot = captures.slotName();
    await expect(captures.catchUp({ tables: ['hiding'], slot })).resolves.toMatchObject({
      copiedRows: 1,
      warnings: [
        expect.stringMatching(/Row-level security is active on public.hiding for the role extractor/),
      ],
    });
    await captures.drop({ slot });
  });

  // not concurrent, since messages that other tests write to the database's WAL count as changes too
  test.sequential(
    'a capture that is to run for a while ends when it is over, and goes on another time',
    { tags: 'long' },
    async () => {
      await lab.source.query('CREATE TABLE brief (id int PRIMARY KEY); INSERT INTO brief VALUES (1)');
      const request = { tables: ['brief'], slot: captures.slotName(), initialCopy: false };
      const handle = await captures.start({ ...request, until: '2 seconds' });
      await captures.untilStreaming(handle);
      await lab.source.query('UPDATE brief SET id = id');
      const first = await handle.result();
      expect(first.outcome).toBe('time is up');
      // it keeps the settings it was started with, and says so
      const other = { ...request, tables: ['brief', 't'], initialCopy: true, mirror: true };
      const { changes, warnings, tables } = await captures.catchUp(other);
      expect(first.changes + changes).toBe(1);
      expect(tables).toEqual(['public.brief']);
      expect(warnings).toEqual([
        expect.stringMatching(/^"tables" names public.t, which the capture does not include.* addTables/),
        expect.stringMatching(/^The capture was begun with "mirror" off, and continues that way/),
      ]);
      await captures.drop({ slot: request.slot });
    },
  );

  test('an idle database on a busy server does not hold back the log', { tags: 'long' }, async () => {
    const slot = captures.slotName();
    // no heartbeat contributes: the position moves because the server reports how far it has read
    const handle = await captures.start({ tables: ['t'], slot, initialCopy: false, heartbeat: '1 hour' });
    await captures.untilStreaming(handle);
    await administer(inject('sourceAdmin'), [
      `CREATE TABLE IF NOT EXISTS busy (v text)`,
      `INSERT INTO busy SELECT repeat(md5(i::text), 30) FROM generate_series(1, 20000) i`,
      `DROP TABLE busy`,
    ]);
    const { rows } = await lab.source.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
    await waitUntil(async () => {
      const moved = await lab.source.query(
        'SELECT FROM pg_replication_slots WHERE slot_name = $1 AND confirmed_flush_lsn >= $2::pg_lsn',
        [slot, rows[0]?.lsn],
      );
      return moved.rowCount === 1;
    });
    const stored = await lab.warehouse.query(
      'SELECT FROM bronze.cdc_positions WHERE slot = $1 AND position >= $2::pg_lsn',
      [slot, rows[0]?.lsn],
    );
    expect(stored.rowCount).toBe(1);
    await captures.end(handle, slot);
  });
});
