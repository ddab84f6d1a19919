import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { checkpointsOf, extractIncrement } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

let lab: Lab;
let number = 0;
let table: string;
let bronze: string;

beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());
beforeEach(() => {
  number += 1;
  table = `c${number}`;
  bronze = `bronze.br_${table}`;
});

interface Values {
  readonly type: string;
  /** In the order of the type, which is not that of their text. */
  readonly values: readonly [string, string, string];
}

const cursors: readonly Values[] = [
  { type: 'timestamptz', values: ['0044-03-15 12:00:00+00 BC', '1999-12-31 23:59:59.999999+00', '2000-01-01 00:00:00+00'] },
  { type: 'timestamp(3)', values: ['0044-03-15 12:00:00 BC', '1999-12-31 23:59:59.999', '2000-01-01 00:00:00'] },
  { type: 'date', values: ['0044-03-15 BC', '1999-12-31', '2000-01-01'] },
  { type: 'smallint', values: ['-32768', '9', '10'] },
  { type: 'integer', values: ['-2147483648', '9', '10'] },
  { type: 'bigint', values: ['-9223372036854775808', '9007199254740993', '9223372036854775807'] },
  { type: 'numeric', values: ['-1e30', '9.000000000000000000001', '123456789012345678901234567890.5'] },
  { type: 'numeric(30,3)', values: ['-5', '9.001', '10.25'] },
  { type: 'text', values: ['B', 'a', 'ä'] },
  { type: 'varchar(20)', values: ['B', 'a', 'ä'] },
  { type: 'uuid', values: ['00000000-0000-0000-0000-00000000000a', '0a000000-0000-7000-8000-000000000000', 'fa000000-0000-7000-8000-000000000000'] },
]; // prettier-ignore

describe.each(cursors)('a cursor of type $type', ({ type, values }) => {
  test.each(['with an index', 'without'])('is ordered by value and kept in full, %s', async (index) => {
    const request = { table, write: 'merge', incremental: { column: 'c', lookback: 0 } } as const;
    await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, c ${type})`);
    if (index === 'with an index') await lab.source.query(`CREATE INDEX ON ${table} (c)`);
    const [low, middle, high] = values;
    await lab.source.query(`INSERT INTO ${table} VALUES (1, $1)`, [low]);
    await extractIncrement(lab, request);
    await lab.source.query(`INSERT INTO ${table} VALUES (2, $1)`, [middle]);
    await extractIncrement(lab, request);
    await lab.source.query(`INSERT INTO ${table} VALUES (3, $1)`, [high]);
    const { incremental, rows } = await extractIncrement(lab, request);
    expect(incremental.added).toBe(1);
    expect(rows).toBeLessThanOrEqual(3);
    const { rows: same } = await lab.source.query(`SELECT $1::${type} <= $2::${type} AS behind, $1::${type} > $3::${type} AS ahead`, [
      incremental.checkpoint, high, low,
    ]); // prettier-ignore
    expect(same).toEqual([{ behind: true, ahead: true }]);
    await expectSameRows(lab, table, bronze);
  });
});

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

test.each([
  ['timestamptz', 'infinity', '-infinity'],
  ['timestamp', 'infinity', '-infinity'],
  ['date', 'infinity', '-infinity'],
  ['numeric', 'NaN', '-Infinity'],
  ['numeric', 'Infinity', '-Infinity'],
])('a %s of %s becomes no checkpoint', async (type, most, least) => {
  const value = (n: number) => (type === 'numeric' ? String(n) : `2024-01-0${n}`);
  await lab.source.query(
    `CREATE TABLE ${table} (id int PRIMARY KEY, c ${type}); CREATE INDEX ON ${table} (c)`,
  );
  await lab.source.query(`INSERT INTO ${table} VALUES (1, $1), (2, $2), (3, $3)`, [value(1), most, least]);
  for (const n of [2, 3]) {
    await extractIncrement(lab, { table, incremental: { column: 'c', lookback: 0 } });
    await lab.source.query(`INSERT INTO ${table} VALUES (${n + 2}, $1)`, [value(n)]);
  }
  const { incremental } = await extractIncrement(lab, { table, incremental: { column: 'c', lookback: 0 } });
  expect(incremental).toMatchObject({
    added: 1,
    checkpoint: expect.not.stringMatching(/inf|nan/i) as string,
  });
  await expectSameRows(lab, table, bronze);
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

test('a row whose cursor goes back and forth is there in every version', async () => {
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

test('a role with an odd time zone, date style and language changes nothing', async () => {
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
    await expect(lab.extract({ table, incremental: { column: 'c' } })).rejects.toMatchObject({
      cause: { type: 'InvalidInput', message: expect.stringMatching(/cannot be a cursor/) as string },
    });
  },
);
