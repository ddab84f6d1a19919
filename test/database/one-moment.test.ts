import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE TABLE a_warm_up (id int)`);
  await lab.extract({ table: 'a_warm_up' });
});
afterAll(async () => lab.close());

/** Creates a table of 18 MB in few rows, large enough for a workflow of its own. */
const largeTable = (name: string) => `CREATE TABLE ${name} (id int, filler text);
  ALTER TABLE ${name} ALTER filler SET STORAGE PLAIN;
  INSERT INTO ${name} SELECT i, repeat('x', 1900) FROM generate_series(1, 9500) i`;

describe('all tables are of one moment', () => {
  test('a row that moves from one to another while they are copied is in one of them', async () => {
    await lab.source.query(`CREATE SCHEMA moving;
      ${largeTable('moving.big')};
      CREATE TABLE moving.one (id int); INSERT INTO moving.one SELECT generate_series(1, 100);
      CREATE TABLE moving.two (id int); INSERT INTO moving.two SELECT generate_series(101, 110);
      CREATE SCHEMA before_moving;
      CREATE TABLE before_moving.big AS TABLE moving.big;
      CREATE TABLE before_moving.one AS TABLE moving.one;
      CREATE TABLE before_moving.two AS TABLE moving.two`);
    const copies = await HeldCopies.hold(lab, 'before each mark');
    const handle = await lab.startDatabase({ tables: ['moving.*'], parallelism: 1 });
    await copies.reached();
    await lab.source.query(`BEGIN;
      DELETE FROM moving.one WHERE id <= 50; INSERT INTO moving.two SELECT generate_series(1, 50);
      DELETE FROM moving.big WHERE id > 100;
      COMMIT`);
    await copies.release();
    const result = await handle.result();
    expect(result).toMatchObject({ outcome: 'complete', committed: 3, warnings: [] });
    for (const name of ['big', 'one', 'two']) {
      await expectSameRows(lab, `before_moving.${name}`, `bronze.br_moving__${name}`);
    }
  });

  test(
    'but for those that are rewritten or get other columns after the snapshot: they are of a later one, and that is said',
    { tags: 'long' },
    async () => {
      await lab.source.query(`CREATE SCHEMA rewritten;
      ${largeTable('rewritten.big')};
      CREATE TABLE rewritten.emptied (id int); INSERT INTO rewritten.emptied SELECT generate_series(1, 100);
      CREATE TABLE rewritten.altered (id int, v text); INSERT INTO rewritten.altered VALUES (1, 'old')`);
      const copies = await HeldCopies.hold(lab, 'before each mark');
      const handle = await lab.startDatabase({ tables: ['rewritten.*'], parallelism: 1 });
      await copies.reached();
      // to the snapshot of the run, the table looks empty from now on
      await lab.source.query(`TRUNCATE rewritten.emptied; INSERT INTO rewritten.emptied VALUES (7)`);
      await lab.source.query(
        `ALTER TABLE rewritten.altered DROP v, ADD v text; UPDATE rewritten.altered SET v = 'new'`,
      );
      await copies.release();
      const result = await handle.result();
      expect(result).toMatchObject({ outcome: 'complete', committed: 3 });
      for (const table of ['rewritten.emptied', 'rewritten.altered'])
        expect(result.warnings.join()).toContain(`${table} is of a later moment`);
      const { rows } = await lab.warehouse.query(
        'SELECT warnings FROM bronze.extraction_database_runs WHERE run_id = $1',
        [result.runId],
      );
      expect(rows).toEqual([{ warnings: result.warnings }]);
      await expectSameRows(lab, 'rewritten.emptied', 'bronze.br_rewritten__emptied');
      await expectSameRows(lab, 'rewritten.altered', 'bronze.br_rewritten__altered');
    },
  );

  test(
    'nor are those that read such a table, of which the snapshot would miss rows',
    { tags: 'long' },
    async () => {
      await lab.source.query(`CREATE SCHEMA reading;
      ${largeTable('reading.big')};
      CREATE TABLE emptied AS SELECT generate_series(1, 100) AS id;
      CREATE TABLE reading.asking AS TABLE emptied;
      CREATE TABLE reading.guarded AS TABLE emptied;
      ALTER TABLE reading.guarded ENABLE ROW LEVEL SECURITY;
      CREATE POLICY known ON reading.guarded USING (id IN (SELECT id FROM emptied));
      CREATE VIEW reading.seen AS TABLE emptied`);
      const asking = { table: 'reading.asking', where: 'id IN (SELECT e.id FROM emptied e)' };
      const copies = await HeldCopies.hold(lab, 'before each mark');
      const handle = await lab.startDatabase({
        tables: ['reading.*', 'reading.seen', asking],
        parallelism: 1,
      });
      await copies.reached();
      await lab.source.query(
        `BEGIN; TRUNCATE emptied; INSERT INTO emptied SELECT generate_series(1, 100); COMMIT`,
      );
      await copies.release();
      const result = await handle.result();
      expect(result).toMatchObject({ outcome: 'complete', committed: 4 });
      for (const name of ['asking', 'guarded', 'seen']) {
        expect(result.warnings.join()).toContain(`reading.${name} is of a later moment`);
        await expectSameRows(lab, 'emptied', `bronze.br_reading__${name}`);
      }
    },
  );

  test('without that, each is of a moment of its own, and no snapshot is held', async () => {
    await lab.source.query(`CREATE SCHEMA apart; CREATE TABLE apart.one AS SELECT 1 AS id;
      CREATE TABLE apart.two AS SELECT 2 AS id`);
    const result = await lab.extractDatabase({ tables: ['apart.*'], consistency: 'table' });
    expect(result).toMatchObject({ outcome: 'complete', committed: 2 });
    expect(result.snapshotTakenAt).toBeUndefined();
    await expectSameRows(lab, 'apart.one', 'bronze.br_apart__one');
  });
});

describe('an increment in a run of many tables', () => {
  testVariants(['snapshot', 'table'])(
    'does not let its checkpoint pass a row that commits later (%s)',
    async (consistency) => {
      const table = `late_${consistency}.events`;
      await lab.source.query(`CREATE SCHEMA late_${consistency};
        CREATE TABLE ${table} (id int PRIMARY KEY, updated_at timestamptz NOT NULL);
        INSERT INTO ${table} SELECT i, now() - interval '1 hour' FROM generate_series(1, 10) i`);
      const request = {
        tables: [{ table, incremental: { column: 'updated_at', lookback: 0 }, write: 'merge' as const }],
        consistency,
      };
      const late = await lab.connect('source');
      await late.query(`BEGIN; INSERT INTO ${table} VALUES (11, now())`);
      await lab.source.query(`INSERT INTO ${table} VALUES (12, now() + interval '1 millisecond')`);
      expect(await lab.extractDatabase(request)).toMatchObject({ committed: 1, rows: 11 });
      await late.query('COMMIT');
      expect(await lab.extractDatabase(request)).toMatchObject({ committed: 1 });
      await expectSameRows(lab, table, `bronze.br_late_${consistency}__events`);
    },
  );
});

test('an increment does not pass a row that commits after the snapshot and before its plan', async () => {
  await lab.source.query(`CREATE SCHEMA between; ${largeTable('between.big')};
    CREATE TABLE between.events (id int PRIMARY KEY, updated_at timestamptz NOT NULL);
    INSERT INTO between.events SELECT i, now() - interval '1 hour' FROM generate_series(1, 10) i`);
  const incremental = { column: 'updated_at', lookback: 0 };
  const request = {
    tables: ['between.*', { table: 'between.events', incremental, write: 'merge' as const }],
    parallelism: 1,
  };
  const late = await lab.connect('source');
  await late.query(`BEGIN; INSERT INTO between.events VALUES (11, now())`);
  await lab.source.query(`INSERT INTO between.events VALUES (12, now() + interval '1 millisecond')`);
  const copies = await HeldCopies.hold(lab, 'before each mark');
  const handle = await lab.startDatabase(request);
  await copies.reached();
  // longer than the margin that a checkpoint keeps from the transactions it sees
  await late.query('SELECT pg_sleep(1.5); COMMIT');
  await copies.release();
  expect(await handle.result()).toMatchObject({ committed: 2, warnings: [] });
  await lab.extractDatabase(request);
  await expectSameRows(lab, 'between.events', 'bronze.br_between__events');
});

describe('rows of an older snapshot', () => {
  test('do not replace those that another run brought meanwhile', { tags: 'long' }, async () => {
    await lab.source.query(`CREATE SCHEMA older; ${largeTable('older.big')};
      CREATE TABLE older.small (id int); INSERT INTO older.small VALUES (1)`);
    const copies = await HeldCopies.hold(lab, 'before each mark');
    const handle = await lab.startDatabase({ tables: ['older.*'], parallelism: 1 });
    const [first] = await copies.reached();
    await lab.source.query(`INSERT INTO older.small VALUES (2)`);
    const newer = lab.extract({ table: 'older.small' });
    await copies.reached(2);
    expect(first).toBeDefined();
    // the newer run commits first: the older one still has the large table ahead of it
    await copies.release();
    expect(await newer).toMatchObject({ outcome: 'committed', rows: 2 });
    expect(await handle.result()).toMatchObject({ outcome: 'complete', committed: 1, superseded: 1 });
    await expectSameRows(lab, 'older.small', 'bronze.br_older__small');
  });

  test('are read again where another run brought only some partitions', { tags: 'long' }, async () => {
    await lab.source.query(`CREATE SCHEMA partly; ${largeTable('partly.big')};
      CREATE TABLE partly.small (id int, part int) PARTITION BY LIST (part);
      CREATE TABLE partly.small_1 PARTITION OF partly.small FOR VALUES IN (1);
      CREATE TABLE partly.small_2 PARTITION OF partly.small FOR VALUES IN (2);
      INSERT INTO partly.small VALUES (1, 1), (2, 2)`);
    const table = 'partly.small';
    await lab.extract({ table });
    await lab.source.query(`UPDATE partly.small SET id = -id`);
    const copies = await HeldCopies.hold(lab, 'before each mark');
    const handle = await lab.startDatabase({ tables: ['partly.*'], parallelism: 1 });
    await copies.reached();
    const newer = lab.extract({ table, write: 'replace-partitions', partitions: { names: ['small_1'] } });
    await copies.reached(2);
    await copies.release();
    expect(await newer).toMatchObject({ outcome: 'committed', rows: 1 });
    const result = await handle.result();
    expect(result).toMatchObject({ outcome: 'complete', committed: 2, superseded: 0 });
    expect(result.warnings.join()).toContain('partly.small is of a later moment');
    await expectSameRows(lab, table, 'bronze.br_partly__small');
  });
});
