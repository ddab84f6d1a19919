import { afterAll, beforeAll, beforeEach, expect, inject, test } from 'vitest';
import { readHighWaterMark } from '../../src/bronze/commit/high-water-mark.ts';
import { Database } from '../../src/postgres/database.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { cursors, endless, expectNoCheckpoint, expectOrderedByValue } from './cursor-types.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { checkpointsOf, extractIncrement } from '../setup/incremental.ts';
import { Lab, withDatabase } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

let lab: Lab;
let table: string;
let bronze: string;

beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());
beforeEach(() => {
  ({ table, bronze } = lab.nextTable());
});

// the long suite has all types
test.each(cursors.filter(({ type }) => ['timestamptz', 'bigint', 'text'].includes(type)))(
  'a cursor of type $type is ordered by value and kept in full, with an index',
  async (cursor) => {
    await expectOrderedByValue(lab, table, cursor, 'with an index');
  },
);

test.each(cursors.filter(({ type }) => type === 'numeric'))(
  'a cursor of type $type is ordered by value and kept in full, without an index',
  async (cursor) => {
    await expectOrderedByValue(lab, table, cursor, 'without');
  },
);

test(
  'a text is ordered by bytes where the database sorts by ICU and its LC_COLLATE is C',
  { tags: 'long' },
  async () => {
    await using icu = await Lab.open({
      sourceOptions: `TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' LC_COLLATE 'C' LC_CTYPE 'C'`,
    });
    await icu.source.query(`CREATE TABLE ${table} (c text PRIMARY KEY); INSERT INTO ${table} VALUES ('Zz')`);
    await extractIncrement(icu, { table, incremental: { column: 'c' } });
    await icu.source.query(`INSERT INTO ${table} VALUES ('aa')`);
    const { incremental } = await extractIncrement(icu, { table, incremental: { column: 'c' } });
    expect(incremental).toMatchObject({ added: 1, checkpoint: 'aa' });
  },
);

test('rows without a cursor value are extracted by the first run, and counted by every run', async () => {
  await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, at timestamptz);
    INSERT INTO ${table} VALUES (1, '2024-01-01'), (2, NULL), (3, NULL)`);
  const first = await extractIncrement(lab, { table, incremental: { column: 'at' } });
  expect(first.incremental).toMatchObject({ added: 3, nullCursors: 2 });
  expect(first.warnings.join()).toMatch(/2 rows have no value in the cursor column "at"/);
  await lab.source.query(`INSERT INTO ${table} VALUES (4, NULL), (5, '2024-01-02')`);
  const second = await extractIncrement(lab, { table, incremental: { column: 'at' } });
  expect(second.incremental).toMatchObject({ added: 1, nullCursors: 3 });
  expect(second.warnings.join()).toMatch(/3 rows have no value/);
  await expectSameRows(lab, table, bronze, { where: 'id <> 4' });
});

test.each(endless.filter(({ type }) => type === 'timestamptz'))(
  'a $type of $most becomes no checkpoint',
  async (values) => {
    await expectNoCheckpoint(lab, table, values);
  },
);

test('a lookback of hours is a day where the cursor is a date', async () => {
  await lab.source.query(`CREATE TABLE hours_back AS SELECT 1 AS id, date '2024-03-10' AS day`);
  const incremental = { column: 'day', lookback: '12 hours' };
  const first = await extractIncrement(lab, { table: 'hours_back', key: ['id'], incremental });
  expect(first.incremental.checkpoint).toBe('2024-03-09');
  const second = await extractIncrement(lab, { table: 'hours_back', key: ['id'], incremental });
  expect(second.incremental.readFrom).toBe('2024-03-08');
});

test('a clock that goes back moves no checkpoint back, and the lookback finds what was written by it', async () => {
  await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, at timestamptz);
    INSERT INTO ${table} VALUES (1, '2024-01-01 12:00+00')`);
  await extractIncrement(lab, { table, incremental: { column: 'at' } });
  await lab.source.query(`INSERT INTO ${table} VALUES (2, '2024-01-01 11:30+00')`);
  const { incremental } = await extractIncrement(lab, { table, incremental: { column: 'at' } });
  expect(incremental).toMatchObject({ added: 1, checkpoint: '2024-01-01 12:00:00+00' });
  expect(await checkpointsOf(lab, `br_${table}`)).toEqual(['2024-01-01 12:00:00+00 success']);
  await expectSameRows(lab, table, bronze);
});

test('a row whose cursor goes back and forth is there in every version', { tags: 'long' }, async () => {
  await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v int, at timestamptz);
    INSERT INTO ${table} VALUES (1, 1, '2024-01-01 12:00+00')`);
  const times = ['12:00', '12:05', '12:00', '12:05'];
  for (const [index, time] of times.entries()) {
    await lab.source.query(`UPDATE ${table} SET v = ${index + 1}, at = '2024-01-01 ${time}+00'`);
    const { incremental } = await extractIncrement(lab, {
      table,
      currentView: true,
      incremental: { column: 'at' },
    });
    expect(incremental.added).toBe(1);
  }
  expect((await lab.warehouse.query(`SELECT v FROM ${bronze} ORDER BY _bronze_loaded_at`)).rows.map(({ v }) => v as number)).toEqual([1, 2, 3, 4]); // prettier-ignore
  expect((await lab.warehouse.query(`SELECT v FROM ${bronze}_current`)).rows).toEqual([{ v: 4 }]);
});

test('a role with an odd time zone, date style and language changes nothing', { tags: 'long' }, async () => {
  for (const [side, role] of [
    ['source', 'extractor'],
    ['warehouse', 'loader'],
  ] as const) {
    // prettier-ignore
    await lab[side].query(`ALTER ROLE ${role} IN DATABASE ${side}_${lab.name} SET TimeZone = 'Pacific/Chatham';
      ALTER ROLE ${role} IN DATABASE ${side}_${lab.name} SET DateStyle = 'German, DMY'`);
  }
  await using odd = await Lab.open({ workers: 'none' });
  await odd.startWorkers({ source: lab.sourceUrl, warehouse: lab.warehouseUrl });
  await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, at timestamptz, local timestamp);
    INSERT INTO ${table} VALUES (1, '2024-03-02 12:00:00.000001+00', '2024-03-02 12:00')`);
  for (const column of ['at', 'local']) {
    const request = { table, target: `br_${table}_${column}`, incremental: { column, lookback: 0 } };
    await lab.source.query(`DELETE FROM ${table} WHERE id > 1`);
    await extractIncrement(odd, request);
    await lab.source.query(
      `INSERT INTO ${table} VALUES (2, '2024-03-02 12:00:00.000002+00', '2024-03-02 12:30')`,
    );
    const { incremental } = await extractIncrement(odd, request);
    expect(incremental).toMatchObject({
      added: 1,
      checkpoint: expect.stringMatching(/^2024-03-02 12:/) as string,
    });
    await expectSameRows(lab, table, `bronze.br_${table}_${column}`);
  }
});

test.each(['float8', 'jsonb', 'bytea', 'char(5)', 'time', 'interval', 'boolean', 'int[]'])(
  'a column of type %s is refused as a cursor',
  async (type) => {
    await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, c ${type})`);
    await expectFailure(
      lab.extract({ table, incremental: { column: 'c' } }),
      'InvalidInput',
      /cannot be a cursor/,
    );
  },
);

test('a value too long for what Temporal keeps is refused as a checkpoint, and nothing is committed', async () => {
  await lab.source.query(`CREATE TABLE ${table} AS SELECT 1 AS id, repeat('x', 300000) AS note;
    ALTER TABLE ${table} ADD PRIMARY KEY (id)`);
  await expectFailure(
    lab.extract({ table, incremental: { column: 'note' } }),
    'UnsupportedTable',
    'The greatest value of "note" has 300000 bytes',
  );
  expect((await lab.warehouse.query('SELECT to_regclass($1) AS there', [bronze])).rows).toEqual([
    { there: null },
  ]);
});

test('ids that began again are not read, and the run says so', async () => {
  await lab.source.query(`CREATE TABLE ${table} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
    INSERT INTO ${table} (v) SELECT 'v' FROM generate_series(1, 100)`);
  const run = async (lookback: number) =>
    extractIncrement(lab, { table, incremental: { column: 'id', lookback } });
  expect((await run(0)).warnings).toEqual([]);
  expect((await run(0)).warnings).toEqual([]);
  await lab.source.query(
    `TRUNCATE ${table} RESTART IDENTITY; INSERT INTO ${table} (v) SELECT 'new' FROM generate_series(1, 50)`,
  );
  const { incremental, warnings } = await run(20);
  expect(incremental).toMatchObject({ added: 0, checkpoint: '100' });
  expect(warnings).toEqual([
    expect.stringMatching(/^The greatest value of "id".*below the checkpoint.*resetCheckpoint/),
  ]);
  expect((await run(50)).warnings).toEqual([]);
});

test('a checkpoint of text does not pass its limit in the order of bytes, whatever language the warehouse orders by', async () => {
  const database = `of_language_${lab.name}`;
  await lab.warehouse.query(
    `CREATE DATABASE ${database} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'`,
  );
  const settings = connectionTo(withDatabase(inject('warehouseAdmin'), database));
  const warehouse = new Database({ label: 'warehouse', settings });
  const facts = await warehouse.write({ run: 'test' }, async (session) => {
    await session.query(`CREATE TABLE public.staged AS SELECT 'a1' AS c`);
    return readHighWaterMark(
      session,
      { planId: '1', staging: { schema: 'public', name: 'staged' } },
      {
        cursor: { column: 'c', kind: 'text', bytewise: false },
        limit: { kind: 'value', value: 'Z9' },
        extraction: 'incremental',
        range: { from: null, to: null },
        write: 'append',
        key: [],
        keyNullable: false,
        checkpoint: 'A1',
        moves: true,
        base: null,
        schemaChanges: 'evolve',
        nullCursors: 0,
        keyChunks: 0,
        currentView: false,
      },
    );
  });
  expect(facts.checkpoint).toBe('Z9');
  await warehouse.close();
  await lab.warehouse.query(`DROP DATABASE ${database}`);
});
