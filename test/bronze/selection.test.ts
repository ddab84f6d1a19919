import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE TABLE orders (id int, status text, total numeric, secret text);
    INSERT INTO orders SELECT i, CASE i % 3 WHEN 0 THEN 'open' WHEN 1 THEN 'shut' END, i / 7.0, 's' FROM generate_series(1, 5000) i`);
});
afterAll(async () => lab.close());

async function bronzeColumns(target: string): Promise<string[]> {
  const { rows } = await lab.warehouse.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped
        AND attname NOT LIKE '\\_bronze\\_%' ORDER BY attnum`,
    [target],
  );
  return rows.map(({ name }) => name);
}

describe('where', () => {
  const conditions = [
    `status = 'open' AND total > 100`,
    `status = 'open' OR total > 600`,
    'status IS NULL',
    'false',
    `id IN (SELECT id FROM orders WHERE total < 3)`,
    `status LIKE '%e%' AND note_of(id) <> 'x--y'`,
  ];
  testVariants(conditions)('%s selects just those rows, of all chunks', async (where) => {
    await lab.source.query(
      `CREATE OR REPLACE FUNCTION note_of(int) RETURNS text LANGUAGE sql AS $$ SELECT 'n' $$`,
    );
    await lab.extract({ table: 'orders', where, chunkSize: '64kB', target: 'chosen' });
    await expectSameRows(lab, 'orders', 'bronze.chosen', { where });
  });
});

describe('columns', () => {
  test('come alone and in the order of the input', async () => {
    const columns = ['total', 'id'];
    await lab.extract({ table: 'orders', columns, target: 'two' });
    expect(await bronzeColumns('bronze.two')).toEqual(columns);
    await expectSameRows(lab, 'orders', 'bronze.two', { columns });
  });

  test('that are excluded do not come, and a condition may still ask for them', async () => {
    const where = `secret = 's' AND id > 4000`;
    await lab.extract({ table: 'orders', exclude: ['secret', 'status'], where, target: 'public_part' });
    expect(await bronzeColumns('bronze.public_part')).toEqual(['id', 'total']);
    await expectSameRows(lab, 'orders', 'bronze.public_part', { columns: ['id', 'total'], where });
  });
});

describe('names', () => {
  // test/inputs/odd-names.test.ts has more
  const names = ['Odd "quoted".name', 'x'.repeat(60), '日'.repeat(20)];
  testVariants(names)('%s, of schema, table and column', async (name) => {
    const quoted = lab.source.escapeIdentifier(name);
    await lab.source
      .query(`CREATE SCHEMA ${quoted}; CREATE TABLE ${quoted}.${quoted} (${quoted} int, "Id" int);
      INSERT INTO ${quoted}.${quoted} SELECT i, i FROM generate_series(1, 2000) i`);
    const result = await lab.extract({ table: { schema: name, table: name }, chunkSize: '16kB' });
    const target = result.target.replace(/^bronze\./, '');
    expect(Buffer.byteLength(target)).toBeLessThanOrEqual(63);
    const text = (part: string) => `"${part.replaceAll('"', '""')}"`;
    await expectSameRows(lab, `${text(name)}.${text(name)}`, `bronze.${text(target)}`);
    const again = await lab.extract({ table: { schema: name, table: name } });
    expect(again.target).toBe(result.target);
  });
});
