import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab, type ExtractHandle } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { untilWaitedFor } from '../setup/until-waited-for.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query('CREATE TABLE first (id int)');
  await lab.extract({ table: 'first' });
});
afterAll(async () => lab.close());

const rowsFor = (table: string, first: number) =>
  `INSERT INTO ${table} SELECT i, repeat('v', 300), i FROM generate_series(${first}, ${first + 3000}) i`;

const changes = [
  ['VACUUM FULL', (t) => [`DELETE FROM ${t} WHERE id % 2 = 0`, `VACUUM FULL ${t}`]],
  ['CLUSTER', (t) => [`CREATE INDEX ${t}_by_n ON ${t} (n DESC)`, `CLUSTER ${t} USING ${t}_by_n`]],
  ['TRUNCATE', (t) => [`TRUNCATE ${t}`, rowsFor(t, 10_000)]],
  ['a column of another type', (t) => [`ALTER TABLE ${t} ALTER n TYPE text USING 'n' || n`]],
  ['a column that is dropped', (t) => [`ALTER TABLE ${t} DROP v`]],
  ['a column that is renamed', (t) => [`ALTER TABLE ${t} RENAME v TO w`]],
  ['another column by the name of a dropped one', (t) => [
    `ALTER TABLE ${t} DROP v, ADD v text`, `UPDATE ${t} SET v = 'new'`]],
  ['another table in its place', (t) => [
    `CREATE TABLE other_${t} (LIKE ${t})`, rowsFor(`other_${t}`, 20_000),
    `ALTER TABLE ${t} RENAME TO old_${t}`, `ALTER TABLE other_${t} RENAME TO ${t}`]],
  ['another table in the place of the dropped one', (t) => [
    `CREATE TABLE other_${t} (LIKE ${t})`, rowsFor(`other_${t}`, 20_000),
    `DROP TABLE ${t}`, `ALTER TABLE other_${t} RENAME TO ${t}`]],
] as const satisfies readonly (readonly [string, (table: string) => readonly string[]])[]; // prettier-ignore

describe('when a table changes after its plan and snapshot were made, the run begins again and is exact', () => {
  const tableOf = (change: string) => change.replaceAll(' ', '_').toLowerCase();
  const runs = new Map<string, ExtractHandle>();

  // all at once, since each waits a second before its restart
  beforeAll(async () => {
    for (const [change] of changes) {
      const table = tableOf(change);
      await lab.source.query(`CREATE TABLE ${table} (id int, v text, n int); ${rowsFor(table, 1)}`);
    }
    const held = await HeldCopies.hold(lab, 'before the first');
    for (const [change] of changes) {
      runs.set(change, await lab.start({ table: tableOf(change), chunkSize: '64kB', parallelism: 1 }));
    }
    await held.reached(changes.length);
    for (const [change, statements] of changes) {
      for (const statement of statements(tableOf(change))) await lab.source.query(statement);
    }
    await held.release();
  });

  test.each(changes)('%s', async (change) => {
    const result = await runs.get(change)?.result();
    expect(result?.restarts).toBeGreaterThanOrEqual(1);
    await expectSameRows(lab, tableOf(change), `bronze.br_${tableOf(change)}`);
  });

  test('and nothing is left behind', async () => {
    expect(await lab.leftoversAtLast()).toEqual([]);
  });
});

describe(
  'when what is read besides the table is rewritten after the snapshot, the run begins again and is exact',
  { tags: 'long' },
  () => {
    const readers = [
      ['a table in a condition', 'plain', 'id IN (SELECT id FROM reloaded)'],
      ['a table in a function that a condition calls', 'plain', 'id <= reloaded_rows()'],
      ['a table in the place of one in a condition', 'plain', 'id IN (SELECT id FROM exchanged)'],
      ['a materialized view in a condition', 'plain', 'id <= (SELECT max(id) FROM refreshed)'],
      ['a table in a policy', 'guarded', undefined],
    ] as const;
    const targetOf = (reader: string) => `br_${reader.replaceAll(' ', '_')}`;
    const runs = new Map<string, ExtractHandle>();

    // all at once, since each waits a second before its restart
    beforeAll(async () => {
      await lab.source.query(`CREATE TABLE reloaded AS SELECT generate_series(1, 3000) AS id;
      CREATE TABLE exchanged AS TABLE reloaded;
      CREATE TABLE most AS SELECT 10 AS id; CREATE MATERIALIZED VIEW refreshed AS TABLE most;
      CREATE FUNCTION reloaded_rows() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM reloaded';
      CREATE TABLE plain (id int, v text, n int); ${rowsFor('plain', 1)};
      CREATE TABLE guarded (LIKE plain); INSERT INTO guarded TABLE plain;
      ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
      CREATE POLICY known ON guarded USING (id IN (SELECT id FROM reloaded))`);
      const held = await HeldCopies.hold(lab, 'before each mark');
      for (const [reader, table, where] of readers) {
        const input = { table, target: targetOf(reader), chunkSize: '64kB', parallelism: 1 };
        runs.set(reader, await lab.start({ ...input, ...(where !== undefined && { where }) }));
      }
      await held.reached(readers.length);
      await lab.source
        .query(`BEGIN; TRUNCATE reloaded; INSERT INTO reloaded SELECT generate_series(1, 3000); COMMIT;
      CREATE TABLE other AS TABLE reloaded; DROP TABLE exchanged; ALTER TABLE other RENAME TO exchanged;
      UPDATE most SET id = 3000; REFRESH MATERIALIZED VIEW refreshed`);
      await held.release();
    });

    test.each(readers)('%s', async (reader) => {
      expect(await runs.get(reader)?.result()).toMatchObject({ rows: 3000, restarts: 1 });
      await expectSameRows(lab, 'plain', `bronze.${targetOf(reader)}`, { where: 'id <= 3000' });
    });

    test('between two chunks of one copy, which names it', async () => {
      await using run = new Steps(lab);
      const where = 'id IN (SELECT id FROM reloaded)';
      const plan = await run.plan({ table: 'plain', target: 'br_named', where, chunkSize: '64kB' });
      const held = await HeldCopies.hold(lab, 'before each mark');
      const copied = run.copy(plan, 0, 2).catch((error: unknown) => error);
      await held.reached();
      await lab.source.query('TRUNCATE reloaded');
      await held.release();
      expect(await copied).toMatchObject({
        type: 'PlanOutdated',
        message: expect.stringContaining('public.reloaded was rewritten or exchanged') as string,
      });
      await run.discard();
    });
  },
);

describe('columns that change after the plan and rewrite nothing that a file would show', () => {
  const retyped = {
    'a time with more digits': ['timestamp(0)', 'timestamp(6)', '2024-01-01 00:00:00.123456'],
    'an integer that became a larger one': ['int', 'bigint', '5000000000'],
    'a text that became longer': ['varchar(2)', 'varchar(20)', 'longer'],
  } as const;
  const outdated = {
    type: 'PlanOutdated',
    message: expect.stringContaining('The definition of public.') as string,
  };

  testVariants(Object.entries(retyped))('%s', async ([, [before, after, value]]) => {
    const { table } = lab.nextTable();
    await lab.source.query(`CREATE TABLE ${table} (v ${before})`);
    await using run = new Steps(lab);
    const plan = await run.plan({ table });
    await lab.source.query(
      `ALTER TABLE ${table} ALTER v TYPE ${after}; INSERT INTO ${table} VALUES ('${value}')`,
    );
    await expect(run.copy(plan, 0, 1, 1)).rejects.toMatchObject(outdated);
    // the same for an attempt that finds the chunk marked
    await expect(run.copy(plan, 0, 1, 2)).rejects.toMatchObject(outdated);
    await run.discard();
  });

  test('one that has the name of a dropped one, between two chunks', async () => {
    const { table } = lab.nextTable();
    await lab.source.query(`CREATE TABLE ${table} (id int, v text, n int); ${rowsFor(table, 1)}`);
    await using run = new Steps(lab);
    const plan = await run.plan({ table, chunkSize: '64kB' });
    await run.copy(plan, 0);
    await lab.source.query(`ALTER TABLE ${table} DROP n, ADD n int`);
    await expect(run.copy(plan, 1, 2)).rejects.toMatchObject(outdated);
    await run.discard();
  });

  test('but not one that is added: it is not part of the run', async () => {
    const { table, bronze } = lab.nextTable();
    await lab.source.query(`CREATE TABLE ${table} (id int); INSERT INTO ${table} VALUES (1)`);
    await using run = new Steps(lab);
    const plan = await run.plan({ table });
    await lab.source.query(`ALTER TABLE ${table} ADD later int`);
    await run.copy(plan, 0);
    await run.commit(plan);
    await expectSameRows(lab, table, bronze, { columns: ['id'] });
  });

  test('while a small table is finished by the activity that plans it', async () => {
    const { table, bronze } = lab.nextTable();
    await lab.source.query(`CREATE TABLE ${table} (v timestamp(0))`);
    const keeper = await lab.connect('warehouse');
    await keeper.query('BEGIN; LOCK TABLE bronze.extraction_runs IN SHARE MODE');
    const handle = await lab.start({ table });
    await untilWaitedFor(lab.warehouse, 'bronze.extraction_runs');
    await lab.source.query(
      `ALTER TABLE ${table} ALTER v TYPE timestamp(6); INSERT INTO ${table} VALUES (now())`,
    );
    await keeper.query('COMMIT');
    await handle.result();
    await expectSameRows(lab, table, bronze);
  });
});

describe('policies that change after the plan decide about other rows', () => {
  const guard = `ENABLE ROW LEVEL SECURITY`;
  const policies = {
    'row-level security that is enabled': ['', (t) => `ALTER TABLE ${t} ${guard}`],
    'row-level security that is disabled': [guard, (t) => `ALTER TABLE ${t} DISABLE ROW LEVEL SECURITY`],
    'another policy': [guard, (t) => `CREATE POLICY all_rows ON ${t} USING (true)`],
    'a policy with another condition': [guard, (t) => `ALTER POLICY odd ON ${t} USING (id % 2 = 0)`],
  } as const satisfies Record<string, readonly [string, (table: string) => string]>;

  testVariants(Object.entries(policies))('%s', async ([, [before, change]]) => {
    const { table } = lab.nextTable();
    await lab.source.query(`CREATE TABLE ${table} (id int, v text, n int); ${rowsFor(table, 1)};
      CREATE POLICY odd ON ${table} USING (id % 2 = 1)`);
    if (before !== '') await lab.source.query(`ALTER TABLE ${table} ${before}`);
    await using run = new Steps(lab);
    const plan = await run.plan({ table, chunkSize: '64kB' });
    await run.copy(plan, 0);
    await lab.source.query(change(table));
    await expect(run.copy(plan, 1)).rejects.toMatchObject({
      type: 'PlanOutdated',
      message: expect.stringContaining(`The definition of public.${table} was changed`) as string,
    });
    await run.discard();
  });

  test('of a table below a view that is cut', async () => {
    const { table } = lab.nextTable();
    await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v text, n int); ${rowsFor(table, 1)};
      CREATE POLICY odd ON ${table} USING (id % 2 = 1);
      CREATE VIEW ${table}_seen WITH (security_invoker) AS TABLE ${table}`);
    await using run = new Steps(lab);
    const plan = await run.plan({ table: `${table}_seen`, chunkBy: 'id', parallelism: 2 });
    await run.copy(plan, 0);
    await lab.source.query(`ALTER TABLE ${table} ${guard}`);
    await expect(run.copy(plan, 1)).rejects.toMatchObject({ type: 'PlanOutdated' });
    await run.discard();
  });
});

describe('partitions', () => {
  const create = (table: string) => `CREATE TABLE ${table} (id int, v text, n int) PARTITION BY RANGE (id);
    CREATE TABLE ${table}_1 PARTITION OF ${table} FOR VALUES FROM (0) TO (5000); ${rowsFor(table, 1)}`;
  const attach = (table: string) =>
    `CREATE TABLE ${table}_2 PARTITION OF ${table} FOR VALUES FROM (5000) TO (10000); ${rowsFor(table, 6000)}`;

  test('that come between plan and snapshot are not missed', async () => {
    await using late = await Lab.open({ workers: 'none' });
    await late.source.query(create('grown'));
    await late.startWorkers({ only: 'copies' });
    const handle = await late.start({ table: 'grown', chunkSize: '64kB' });
    await late.planned();
    await late.source.query(attach('grown'));
    await late.startWorkers({ only: 'snapshots' });
    await expect(handle.result()).resolves.toMatchObject({ rows: 6002, restarts: 1 });
    await expectSameRows(late, 'grown', 'bronze.br_grown');
  });

  test('that come after the snapshot are not part of it', async () => {
    await lab.source.query(create('later'));
    const held = await HeldCopies.hold(lab, 'before the first');
    const handle = await lab.start({ table: 'later', chunkSize: '64kB' });
    await held.reached();
    await lab.source.query(attach('later'));
    await held.release();
    await expect(handle.result()).resolves.toMatchObject({ rows: 3001, restarts: 0 });
    await expectSameRows(lab, 'later', 'bronze.br_later', { where: 'id < 5000' });
  });

  test('that are detached after the snapshot are part of it', { tags: 'long' }, async () => {
    await lab.source.query(
      `${create('left_alone')}; ${attach('left_alone')}; CREATE TABLE copy AS TABLE left_alone`,
    );
    const held = await HeldCopies.hold(lab, 'before the first');
    const handle = await lab.start({ table: 'left_alone', chunkSize: '64kB' });
    await held.reached();
    await lab.source.query(
      'ALTER TABLE left_alone DETACH PARTITION left_alone_2; INSERT INTO left_alone_2 VALUES (1)',
    );
    await held.release();
    await expect(handle.result()).resolves.toMatchObject({ rows: 6002 });
    await expectSameRows(lab, 'copy', 'bronze.br_left_alone');
  });

  test('that are dropped after the snapshot make the run begin again', { tags: 'long' }, async () => {
    await lab.source.query(`${create('lost')}; ${attach('lost')}`);
    const held = await HeldCopies.hold(lab, 'before the first');
    const handle = await lab.start({ table: 'lost', chunkSize: '64kB' });
    await held.reached();
    await lab.source.query('DROP TABLE lost_2');
    await held.release();
    await expect(handle.result()).resolves.toMatchObject({ rows: 3001, restarts: 1 });
    await expectSameRows(lab, 'lost', 'bronze.br_lost');
  });
});
