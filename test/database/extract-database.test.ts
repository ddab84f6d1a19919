import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { expectFailure } from '../setup/expect-failure.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE SCHEMA sales;
    CREATE TABLE users (id int PRIMARY KEY, name text);
    INSERT INTO users SELECT i, 'name ' || i FROM generate_series(1, 500) i;
    CREATE TABLE tmp_import (id int);
    CREATE TABLE tmp_keep (id int);
    INSERT INTO tmp_keep VALUES (1);
    CREATE TABLE "Odd ""name"" | *" (id int, "a*b" text);
    INSERT INTO "Odd ""name"" | *" VALUES (1, 'x'), (2, NULL);
    CREATE TABLE empty (id int);
    CREATE TABLE sales.orders (id int PRIMARY KEY, updated_at timestamptz NOT NULL, note text);
    INSERT INTO sales.orders SELECT i, now() - i * interval '1 minute', md5(i::text) FROM generate_series(1, 1000) i;
    CREATE TABLE sales.big (id int, filler text);
    ALTER TABLE sales.big ALTER filler SET STORAGE PLAIN;
    INSERT INTO sales.big SELECT i, repeat('x', 1900) FROM generate_series(1, 9500) i;
    CREATE TABLE sales.months (id int, month date) PARTITION BY RANGE (month);
    CREATE TABLE sales.months_1 PARTITION OF sales.months FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
    CREATE TABLE sales.months_2 PARTITION OF sales.months FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
    INSERT INTO sales.months SELECT i, date '2024-01-01' + i FROM generate_series(0, 59) i;
    CREATE VIEW sales.latest AS SELECT * FROM sales.orders WHERE id < 10`);
});
afterAll(async () => lab.close());

describe('extractDatabase', () => {
  test('extracts all tables that are meant, small and large, in one run', async () => {
    const handle = await lab.startDatabase({
      tables: [
        'public.*',
        '!public.tmp_*',
        'tmp_keep',
        'sales.*',
        { table: 'sales.orders', incremental: { column: 'updated_at' }, write: 'merge' },
        'sales.latest',
      ],
    });
    const result = await handle.result();
    expect(result).toMatchObject({
      outcome: 'complete',
      tables: 8,
      committed: 8,
      failed: 0,
      rows: 500 + 1 + 2 + 1000 + 9500 + 60 + 9,
      newTables: { count: 8 },
      vanishedTables: { count: 0, names: [] },
      warnings: [],
    });
    await expectSameRows(lab, 'users', 'bronze.br_users');
    await expectSameRows(lab, '"Odd ""name"" | *"', 'bronze."br_Odd ""name"" | *"');
    await expectSameRows(lab, 'empty', 'bronze.br_empty');
    await expectSameRows(lab, 'tmp_keep', 'bronze.br_tmp_keep');
    await expectSameRows(lab, 'sales.big', 'bronze.br_sales__big');
    await expectSameRows(lab, 'sales.months', 'bronze.br_sales__months');
    await expectSameRows(lab, 'sales.orders', 'bronze.br_sales__orders');
    await expectSameRows(lab, 'sales.latest', 'bronze.br_sales__latest');
    const { rows } = await lab.warehouse.query<{ tables: number; moments: number }>(
      `SELECT count(*)::int AS tables, count(DISTINCT snapshot_at)::int AS moments FROM bronze.extraction_runs
        WHERE database_run_id = $1 AND status = 'committed'`,
      [handle.firstExecutionRunId],
    );
    expect(rows).toEqual([{ tables: 8, moments: 1 }]);
    expect(await lab.leftoversAtLast()).toEqual([]);
  });
});

test('entries that match a table add to one another, and are refused where they contradict each other', async () => {
  const updates = { table: 'sales.ord*', incremental: { column: 'updated_at' } };
  const merged = await lab.startDatabase({ tables: [updates, { table: 'sales.orders', write: 'merge' }] });
  expect(await merged.result()).toMatchObject({ outcome: 'complete', committed: 1 });
  await expectSameRows(lab, 'sales.orders', 'bronze.br_sales__orders');
  const some = { table: '*.months', partitions: { names: ['months_1'] } };
  const contrary = await lab.startDatabase({
    tables: ['users', { table: 'sales.m*', incremental: { column: 'id' } }, some],
  });
  await expectFailure(
    contrary.result(),
    'InvalidInput',
    'Entries of "tables" that match sales.months contradict each other: partitions: not allowed with "incremental"',
  );
});

test('settings are refused where there is no room for them once each table has its own', async () => {
  const where = `id IN (${'1, '.repeat(300_000)}1)`;
  const names = (count: number) => Array.from({ length: count }, (_, index) => `missing_${index}`);
  const alone = await lab.startDatabase({ tables: names(4), defaults: { where } });
  await expectFailure(
    alone.result(),
    'InvalidInput',
    '4 tables need a workflow of their own, by their settings or because they are views or do not exist: public.missing_0, public.missing_1, public.missing_2 and 1 more',
  );
  const all = await lab.startDatabase({ tables: names(40), defaults: { where } });
  await expectFailure(
    all.result(),
    'InvalidInput',
    'The settings of 40 tables have more than 32 MB together',
  );
});

test(
  'a table whose foreign partition is on a server that is away does not hold up the others',
  { tags: 'long' },
  async () => {
    await lab.source.query(`CREATE SCHEMA far; CREATE EXTENSION postgres_fdw;
    CREATE SERVER away FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1', port '1', dbname 'none');
    CREATE USER MAPPING FOR extractor SERVER away OPTIONS (user 'nobody', password 'extractor-secret');
    CREATE TABLE far.mixed (id int, note text) PARTITION BY RANGE (id);
    CREATE TABLE far.mixed_here PARTITION OF far.mixed FOR VALUES FROM (0) TO (100);
    CREATE FOREIGN TABLE far.mixed_away PARTITION OF far.mixed FOR VALUES FROM (100) TO (200) SERVER away;
    INSERT INTO far.mixed SELECT i, repeat('x', 900) FROM generate_series(0, 99) i;
    CREATE TABLE far.small (id int PRIMARY KEY); INSERT INTO far.small VALUES (1)`);
    const handle = await lab.startDatabase({ tables: ['far.*'] });
    await waitUntil(async () => {
      const { rows } = await lab.warehouse.query(`SELECT to_regclass('bronze.br_far__small') AS copy`);
      return rows[0]?.copy !== null;
    });
    await handle.executeUpdate('skipTable', { args: ['far.mixed'] });
    expect(await handle.result()).toMatchObject({ outcome: 'partial', committed: 1, skipped: 1, failed: 0 });
    await expectSameRows(lab, 'far.small', 'bronze.br_far__small');
  },
);
