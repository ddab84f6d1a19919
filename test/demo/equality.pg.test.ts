import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compareTable, type Comparison } from '../../demo/equality.ts';
import { Lab } from '../setup/lab.ts';

let lab: Lab;
let source: Client;
let warehouse: Client;

beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  [source, warehouse] = await Promise.all([lab.connect('source'), lab.connect('warehouse')]);
  await source.query("SET TimeZone = 'Asia/Tokyo'; SET DateStyle = 'German'");
  await source.query(
    'CREATE TABLE odd (id int, "Odd ""name""" text, at timestamptz, gone int, amount numeric)',
  );
  await source.query('ALTER TABLE odd DROP COLUMN gone');
  await source.query(
    "INSERT INTO odd VALUES (1, 'a', '2001-01-01Z', 1.50), (2, NULL, NULL, NULL), (2, NULL, NULL, NULL)",
  );
});

afterAll(async () => lab.close());

/** Compares the source with a bronze table that has these rows. */
async function compareWith(rows: string): Promise<Comparison> {
  await warehouse.query(`DROP SCHEMA IF EXISTS bronze CASCADE; CREATE SCHEMA bronze;
    CREATE TABLE bronze.br_odd (id int, "Odd ""name""" text, at timestamptz, amount numeric, _bronze_run_id text DEFAULT 'run');
    INSERT INTO bronze.br_odd VALUES ${rows}`);
  return compareTable(source, warehouse, 'public.odd', 'bronze.br_odd');
}

test('the same rows in another order are equal, whatever the session says of dates', async () => {
  const { equal, source: side } = await compareWith(
    "(2, NULL, NULL, NULL), (1, 'a', '2001-01-01Z', 1.50), (2, NULL, NULL, NULL)",
  );
  expect([equal, side.rows]).toEqual([true, '3']);
});

test.each([
  ['a row too few', "(1, 'a', '2001-01-01Z', 1.50), (2, NULL, NULL, NULL)"],
  [
    'a row twice for another',
    "(1, 'a', '2001-01-01Z', 1.50), (1, 'a', '2001-01-01Z', 1.50), (2, NULL, NULL, NULL)",
  ],
  ['an empty text for NULL', "(1, 'a', '2001-01-01Z', 1.50), (2, '', NULL, NULL), (2, NULL, NULL, NULL)"],
  ['another scale', "(1, 'a', '2001-01-01Z', 1.5), (2, NULL, NULL, NULL), (2, NULL, NULL, NULL)"],
  [
    'a microsecond',
    "(1, 'a', '2001-01-01 00:00:00.000001Z', 1.50), (2, NULL, NULL, NULL), (2, NULL, NULL, NULL)",
  ],
])('%s is a difference', async (_, rows) => {
  expect((await compareWith(rows)).equal).toBe(false);
});

test('a table that is not there is an error, not a difference', async () => {
  await warehouse.query('DROP SCHEMA IF EXISTS bronze CASCADE');
  await expect(compareTable(source, warehouse, 'public.odd', 'bronze.br_odd')).rejects.toThrow(
    'bronze.br_odd',
  );
});
