import { afterAll, beforeAll, expect, test } from 'vitest';
import { escapeIdentifier } from 'pg';
import { formatTableName } from '../../src/contract/table-name.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { seeded } from '../setup/seeded.ts';
import { ownTypes, randomTable } from './random-tables.ts';

/** Another seed generates other tables; a failure shows the seed. */
const SEED = Number(process.env['DATAKIT_TEST_SEED'] ?? 4);

/** @param count number of tables, unless DATAKIT_TEST_TABLES sets it */
export function randomTablesSuite(count: number): void {
  const tables = Number(process.env['DATAKIT_TEST_TABLES'] ?? count);
  let lab: Lab;
  let values = 0;
  beforeAll(async () => {
    lab = await Lab.open();
    await lab.source.query(ownTypes);
    // the warehouse has only one of the three extensions, in a separate schema
    await lab.warehouse.query(
      'CREATE SCHEMA ext; GRANT USAGE ON SCHEMA ext TO loader; CREATE EXTENSION hstore SCHEMA ext',
    );
  });
  afterAll(async () => lab.close());

  test.each(Array.from({ length: tables }, (_, index) => SEED * 1000 + index))(
    'random table %i arrives by value',
    async (seed) => {
      const random = seeded(seed);
      const table = randomTable(random, seed);
      for (const statement of table.sql) await lab.source.query(statement);
      const arrays = table.columns
        .filter(({ isArray, name }) => isArray && Buffer.byteLength(name) < 50)
        .map(({ name }) => name);
      const { target, rows } = await lab.extract({
        table: formatTableName({ schema: 'public', name: table.name }),
        target: `br_${seed}`,
        verify: random() < 0.7 ? 'checksum' : 'rows',
        ...(arrays.length > 0 && random() < 0.5 && { arrays: { expand: arrays } }),
      });
      expect(rows).toBe(table.sql.length - 1);
      const composites = table.columns.filter(({ isComposite }) => isComposite);
      await expectSameRows(lab, formatTableName({ schema: 'public', name: table.name }), target, {
        as: Object.fromEntries(composites.map(({ name }) => [name, `to_jsonb(${escapeIdentifier(name)})`])),
      });
      values += table.values;
    },
  );

  test('thousands of values were tried', () => {
    expect(values).toBeGreaterThan(tables * 50);
  });
}
