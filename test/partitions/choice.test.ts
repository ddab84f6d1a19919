import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import type { FailureKind } from '../../src/contract/failures.ts';
import { atScheduledTime } from '../../src/contract/scheduled-time.ts';
import { refusal } from '../inputs/refusal.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { createForeignServer } from '../setup/foreign-server.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE SCHEMA archive;
    CREATE TABLE sales (id int, day date, shop text) PARTITION BY RANGE (day);
    CREATE TABLE archive.sales_2022 PARTITION OF sales FOR VALUES FROM ('2022-01-01') TO ('2023-01-01');
    CREATE TABLE sales_2023 PARTITION OF sales FOR VALUES FROM ('2023-01-01') TO ('2024-01-01') PARTITION BY LIST (shop);
    CREATE TABLE sales_2023_a PARTITION OF sales_2023 FOR VALUES IN ('a');
    CREATE TABLE "sales_2023.b" PARTITION OF sales_2023 FOR VALUES IN ('b');
    CREATE TABLE sales_2024 PARTITION OF sales FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    INSERT INTO sales SELECT i, '2022-01-01'::date + i % 1000, chr(97 + i % 2) FROM generate_series(1, 3000) i;
    CREATE TABLE ordinary (id int, day date);
    CREATE TABLE by_id (id int, at timestamp) PARTITION BY RANGE (id);
    CREATE TABLE by_hash (at timestamp) PARTITION BY HASH (at);
    CREATE TABLE by_time (at timestamp) PARTITION BY RANGE (at);
    CREATE TABLE two_times (day date, other date, shop text) PARTITION BY LIST (shop);
    CREATE TABLE two_times_a PARTITION OF two_times FOR VALUES IN ('a') PARTITION BY RANGE (day);
    CREATE TABLE two_times_b PARTITION OF two_times FOR VALUES IN ('b') PARTITION BY RANGE (other);`);
});
afterAll(async () => lab.close());

const select = (target: string) =>
  `SELECT _bronze_partition AS partition, _bronze_parent_table AS parent, _bronze_table AS "table", count(*)::int AS rows
     FROM bronze.${target} GROUP BY 1, 2, 3 ORDER BY 1`;

test('every row says which partition it came from, and of which table', async () => {
  await lab.extract({ table: 'sales' });
  const { rows } = await lab.warehouse.query(select('br_sales'));
  const { rows: truth } = await lab.source.query<{ name: string; rows: number }>(
    `SELECT tableoid::regclass::text AS name, count(*)::int AS rows FROM sales GROUP BY 1`,
  );
  const expected = truth
    .map(({ name, rows: count }) => ({ partition: name, parent: 'sales', table: 'sales', rows: count }))
    .toSorted((one, other) => (one.partition < other.partition ? -1 : 1));
  expect(rows.toSorted((one, other) => (one.partition < other.partition ? -1 : 1))).toEqual(expected);
  expect(rows.map(({ partition }) => partition as string)).toContain('"sales_2023.b"');
  for (const { partition } of rows) {
    await expectSameRows(lab, 'sales', 'bronze.br_sales', {
      where: `tableoid = '${partition}'::regclass`,
      targetWhere: `_bronze_partition = '${partition}'`,
    });
  }
});

test('an ordinary table has no such columns', async () => {
  await lab.extract({ table: 'ordinary' });
  const { rows } = await lab.warehouse.query(
    `SELECT FROM pg_attribute WHERE attrelid = 'bronze.br_ordinary'::regclass AND attname IN ('_bronze_partition', '_bronze_parent_table')`,
  );
  expect(rows).toEqual([]);
});

const choices: readonly (readonly [NonNullable<ExtractTableRequest['partitions']>, string, number])[] = [
  [{ names: ['sales_2024'] }, `tableoid = 'sales_2024'::regclass`, 1],
  [{ names: ['archive.sales_2022', 'public.sales_2024'] }, `day < '2023-01-01' OR day >= '2024-01-01'`, 2],
  [{ names: ['sales_2023'] }, `day >= '2023-01-01' AND day < '2024-01-01'`, 2],
  [{ names: ['"sales_2023.b"'] }, `tableoid = '"sales_2023.b"'::regclass`, 1],
  [
    { patterns: ['sales_202?_a', 'archive.*'] },
    `day < '2023-01-01' OR tableoid = 'sales_2023_a'::regclass`,
    2,
  ],
  [{ names: ['sales_2024'], patterns: ['*2023*'] }, `day >= '2023-01-01'`, 3],
];

test('partitions are chosen by their names, those of tables between, and patterns', async () => {
  const results = await Promise.all(
    choices.map(async ([partitions], index) =>
      lab.extract({ table: 'sales', partitions, target: `chosen_${index}` }),
    ),
  );
  for (const [index, [, where, count]] of choices.entries()) {
    expect(results[index]).toMatchObject({
      partitions: count,
      skippedPartitions: { notAskedFor: 4 - count, unchanged: 0 },
    });
    await expectSameRows(lab, 'sales', `bronze.chosen_${index}`, { where });
  }
});

test(
  'children by inheritance are chosen by their names, their parent by its own',
  { tags: 'long' },
  async () => {
    await lab.source
      .query(`CREATE TABLE animals (id int, name text); CREATE TABLE dogs (breed text) INHERITS (animals);
    CREATE TABLE pugs () INHERITS (dogs); CREATE TABLE cats () INHERITS (animals);
    INSERT INTO animals VALUES (1, 'any'); INSERT INTO dogs VALUES (2, 'dog'); INSERT INTO pugs VALUES (3, 'pug');
    INSERT INTO cats VALUES (4, 'cat')`);
    await lab.extract({ table: 'animals', partitions: { names: ['dogs'] }, target: 'dogs_and_below' });
    await expectSameRows(lab, 'animals', 'bronze.dogs_and_below', { where: 'id IN (2, 3)' });
    await lab.extract({ table: 'animals', partitions: { names: ['animals'] }, target: 'no_child' });
    await expectSameRows(lab, 'animals', 'bronze.no_child', { where: 'id = 1' });
    await lab.extract({ table: 'animals' });
    await lab.source.query(`UPDATE animals SET name = 'other'`);
    await lab.extract({
      table: 'animals',
      write: 'replace-partitions',
      partitions: { names: ['cats', 'pugs'] },
    });
    const { rows } = await lab.warehouse.query(
      `SELECT id, name, _bronze_partition AS partition FROM bronze.br_animals ORDER BY id`,
    );
    expect(rows).toEqual([
      { id: 1, name: 'any', partition: 'animals' },
      { id: 2, name: 'dog', partition: 'dogs' },
      { id: 3, name: 'other', partition: 'pugs' },
      { id: 4, name: 'other', partition: 'cats' },
    ]);
  },
);

testVariants(['date', 'timestamp', 'timestamptz'])(
  'the day before a schedule is chosen by keys of type %s',
  async (type) => {
    const table = `daily_${type}`;
    const day = (number: number) =>
      `CREATE TABLE ${table}_${number} PARTITION OF ${table} FOR VALUES FROM ('2024-01-0${number} 00:00Z') TO ('2024-01-0${number + 1} 00:00Z')`;
    await lab.source
      .query(`SET TimeZone = 'UTC'; CREATE TABLE ${table} (id int, at ${type}) PARTITION BY RANGE (at);
    ${[1, 2, 3].map(day).join(';')}; INSERT INTO ${table} SELECT i, '2024-01-01'::date + i FROM generate_series(0, 2) i`);
    const yesterday = { table, partitions: { from: 'scheduled - 1 day', to: 'scheduled' } };
    await lab.extract(atScheduledTime(yesterday, new Date('2024-01-03T00:00:00Z')));
    await expectSameRows(lab, table, `bronze.br_${table}`, { where: 'id = 1' });
    const started = lab.extract(atScheduledTime(yesterday, new Date('2024-01-03T06:30:00Z')));
    if (type !== 'date') return expect(await started).toMatchObject({ rows: 1, partitions: 2 });
    await expectFailure(started, 'InvalidInput', '"partitions.from" (2024-01-02 06:30:00.000) has a time');
  },
);

test('a foreign partition is chosen and cut by its bound, and always read', { tags: 'long' }, async () => {
  await createForeignServer(lab);
  await lab.source
    .query(`CREATE TABLE elsewhere AS SELECT i AS id, '2024-01-01'::date + i % 31 AS day FROM generate_series(1, 62) i;
    CREATE TABLE mixed (id int, day date) PARTITION BY RANGE (day);
    CREATE FOREIGN TABLE mixed_far PARTITION OF mixed FOR VALUES FROM ('2024-01-01') TO ('2024-02-01') SERVER here OPTIONS (table_name 'elsewhere');
    CREATE TABLE mixed_here PARTITION OF mixed FOR VALUES FROM ('2024-02-01') TO ('2024-03-01'); INSERT INTO mixed VALUES (0, '2024-02-01')`);
  const partitions = { from: '2024-01-30', to: '2024-03-01' };
  expect(await lab.extract({ table: 'mixed', partitions, verify: 'checksum' })).toMatchObject({
    rows: 5,
    partitions: 2,
  });
  await expectSameRows(lab, 'mixed', 'bronze.br_mixed', { where: `day >= '2024-01-30'` });
  await lab.extract({ table: 'mixed', write: 'replace-partitions' });
  await lab.source.query(`DELETE FROM elsewhere WHERE id = 1`);
  await lab.extract({ table: 'mixed', write: 'replace-partitions', partitions: { names: ['mixed_far'] } });
  await expectSameRows(lab, 'mixed', 'bronze.br_mixed');
});

describe('a choice that covers nothing', () => {
  testVariants<[string, { from: string; to: string } | { patterns: string[] }]>([
    ['a range', { from: '2030-01-01', to: '2031-01-01' }],
    ['a pattern', { patterns: ['shops_*'] }],
  ])('%s: the run says so, and bronze is as it was', async ([, partitions]) => {
    await lab.extract({ table: 'sales' });
    const before = await lab.warehouse.query(`SELECT tableoid, _bronze_run_id FROM bronze.br_sales LIMIT 1`);
    const result = await lab.extract({ table: 'sales', partitions });
    expect(result).toMatchObject({
      outcome: 'unchanged',
      rows: 0,
      partitions: 0,
      skippedPartitions: { notAskedFor: 4, unchanged: 0 },
    });
    expect(
      (await lab.warehouse.query(`SELECT tableoid, _bronze_run_id FROM bronze.br_sales LIMIT 1`)).rows,
    ).toEqual(before.rows);
    const { rows } = await lab.warehouse.query(
      `SELECT status, skipped_partitions FROM bronze.extraction_runs WHERE run_id = $1`,
      [result.runId],
    );
    expect(rows).toEqual([{ status: 'unchanged', skipped_partitions: { notAskedFor: 4, unchanged: 0 } }]);
    expect(await lab.leftoversAtLast()).toEqual([]);
  });
});

describe('refused, before anything is touched:', () => {
  const sales = { table: 'sales' };
  const from = '2024-01-01';
  test.each<[string, object, FailureKind, RegExp]>([
    ['a reversed range', { ...sales, partitions: { from, to: '2023-01-01' } }, 'InvalidInput', /partitions.to: must be later than "from"/],
    ['a time, of dates', { ...sales, partitions: { from: '2024-01-01 10:00' } }, 'InvalidInput', /"partitions.from" \(2024-01-01 10:00:00\) has a time, and the key of the partitions is a date/],
    ['a zone, of times that have none', { table: 'by_time', partitions: { to: '2024-01-01T10:00:00Z' } }, 'InvalidInput', /"partitions.to" \(2024-01-01 10:00:00\+00:00\) has a time zone/],
    ['an ordinary table', { table: 'ordinary', partitions: { from } }, 'InvalidInput', /public.ordinary has no partitions/],
    ['partitions by number', { table: 'by_id', partitions: { from } }, 'InvalidInput', /it is partitioned by RANGE \(id\)/],
    ['partitions by hash', { table: 'by_hash', partitions: { from } }, 'InvalidInput', /it is partitioned by HASH \(at\)/],
    ['partitions by two times', { table: 'two_times', partitions: { from } }, 'InvalidInput', /by different times \("day", "other"\)/],
    ['a name that is not there', { ...sales, partitions: { names: ['sales_2O24'] } }, 'UndefinedObject', /public.sales has no partition "sales_2O24" \(did you mean "sales_2024"\?\)/],
    ['to replace partitions of an ordinary table', { table: 'ordinary', write: 'replace-partitions' }, 'InvalidInput', /public.ordinary has no partitions/],
    ['to replace a part of a partition', { ...sales, write: 'replace-partitions', partitions: { from: '2024-02-01' } }, 'InvalidInput', /would replace all rows of sales_2024 by those in the range/],
  ])('%s', async (_, request, kind, message) => {
    expect(await refusal(lab, request, kind)).toMatch(message);
  }); // prettier-ignore
});

test('a month of 120 reads no block of the others', async () => {
  const start = Date.UTC(2015, 0);
  const month = (index: number) => new Date(new Date(start).setUTCMonth(index)).toISOString().slice(0, 10);
  const partitions = Array.from(
    { length: 120 },
    (_, index) =>
      `CREATE TABLE m_${index} PARTITION OF ten_years FOR VALUES FROM ('${month(index)}') TO ('${month(index + 1)}')`,
  );
  await lab.source
    .query(`CREATE TABLE ten_years (day date, v text) PARTITION BY RANGE (day); ${partitions.join(';')};
    CREATE TABLE m_default PARTITION OF ten_years DEFAULT; CREATE INDEX ON ten_years (day);
    INSERT INTO ten_years SELECT '2015-01-01'::date + i % 3600, repeat('v', 100) FROM generate_series(1, 7200) i;
    INSERT INTO ten_years VALUES (NULL, 'nowhere')`);
  const touched = async () => {
    const { rows } = await lab.source.query<{ name: string; read: string }>(
      `SELECT s.relname AS name, s.heap_blks_read + s.heap_blks_hit + coalesce(s.idx_blks_read + s.idx_blks_hit, 0)
              + coalesce(t.seq_scan, 0) + coalesce(t.idx_scan, 0) AS read
         FROM pg_statio_all_tables s JOIN pg_stat_all_tables t USING (relid) WHERE s.relname LIKE 'm\\_%'`,
    );
    return new Map(rows.map(({ name, read }) => [name, Number(read)]));
  };
  await lab.source.query(`SELECT pg_stat_force_next_flush()`);
  const before = await touched();
  await lab.extract({ table: 'ten_years', partitions: { from: month(60), to: month(61) } });
  // a session reports its statistics when it ends, or when it has been idle for long
  await lab.source.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'extractor'`,
  );
  await waitUntil(async () => (await touched()).get('m_60') !== before.get('m_60'));
  const after = await touched();
  expect([...after.keys()].filter((name) => after.get(name) !== before.get(name))).toEqual(['m_60']);
  await expectSameRows(lab, 'm_60', 'bronze.br_ten_years');
});
