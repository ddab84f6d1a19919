import { escapeIdentifier } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';

/** Tests each name as that of a schema, a table, a column and a target. */
export function oddNamesSuite(names: readonly (readonly [string, string])[]): void {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.open();
  });
  afterAll(async () => lab.close());

  test.each(names)('schema, table, column and target with %s', async (_name, name) => {
    const quoted = escapeIdentifier(name);
    await lab.source
      .query(`CREATE SCHEMA ${quoted}; CREATE TABLE ${quoted}.${quoted} (id int, ${quoted} text);
    INSERT INTO ${quoted}.${quoted} SELECT i, repeat('x', 100) || i FROM generate_series(1, 200) i`);
    const table = { schema: name, table: name };
    const where = `${quoted} <> 'y' AND id > 10`;
    const [byDefault, byTarget] = await Promise.all([
      lab.extract({ table, where, chunkSize: '8kB' }),
      lab.extract({ table, target: name }),
    ]);
    expect(byDefault).toMatchObject({ rows: 190, outcome: 'committed' });
    expect(byDefault.chunks).toBeGreaterThan(1);
    expect(byTarget).toMatchObject({ rows: 200, target: `bronze.${name}` });
    const { rows } = await lab.warehouse.query<Record<string, unknown>>(
      `SELECT ${quoted} AS value, _bronze_schema, _bronze_table FROM bronze.${quoted} WHERE id = 7`,
    );
    expect(rows).toEqual([{ value: `${'x'.repeat(100)}7`, _bronze_schema: name, _bronze_table: name }]);
  });

  test('leave nothing behind', async () => {
    expect(await lab.leftoversAtLast()).toEqual([]);
  });
}
