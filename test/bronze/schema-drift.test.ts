import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
/** A table extracted once before its columns change. */
let table: string;
let bronze: string;

beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

beforeEach(async () => {
  ({ table, bronze } = lab.nextTable());
  await lab.source.query(`CREATE TABLE ${table} (id int, name text, n int);
    INSERT INTO ${table} SELECT i, 'name ' || i, i FROM generate_series(1, 50) i`);
  await lab.extract({ table });
});

async function columns(): Promise<string[]> {
  const { rows } = await lab.warehouse.query<{ text: string }>(
    `SELECT attname || ' ' || format_type(atttypid, atttypmod) AS text FROM pg_attribute
      WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT LIKE '\\_bronze\\_%' ORDER BY attnum`,
    [bronze],
  );
  return rows.map(({ text }) => text);
}

describe('a column of the source', () => {
  test('that is new comes after all others, and views stay', async () => {
    await lab.warehouse.query(`CREATE VIEW v_${table} AS SELECT * FROM ${bronze}`);
    await lab.source.query(
      `ALTER TABLE ${table} ADD late numeric DEFAULT 1.5; UPDATE ${table} SET late = NULL WHERE id = 7`,
    );
    await lab.extract({ table });
    expect(await columns()).toEqual(['id integer', 'name text', 'n integer', 'late numeric']);
    await expectSameRows(lab, table, bronze);
  });

  test('that is gone stays in bronze and is NULL, with what depends on it', async () => {
    await lab.warehouse.query(
      `CREATE VIEW v_${table} AS SELECT name FROM ${bronze}; CREATE INDEX ON ${bronze} (name)`,
    );
    await lab.source.query(`ALTER TABLE ${table} DROP name`);
    for (const round of [1, 2]) {
      await lab.source.query(`INSERT INTO ${table} VALUES (${100 + round}, 1)`);
      const { warnings } = await lab.extract({ table });
      expect(warnings).toHaveLength(round === 1 ? 1 : 0);
      expect(warnings.join()).toMatch(round === 1 ? /also read "name", which this one does not/ : /^$/);
      await expectSameRows(lab, table, bronze);
    }
    const { rows } = await lab.warehouse.query(
      `SELECT count(*)::int AS rows, count(name)::int AS names FROM v_${table}`,
    );
    expect(rows).toEqual([{ rows: 52, names: 0 }]);
  });

  test('that was gone and is there again has its values again', async () => {
    await lab.source.query(`ALTER TABLE ${table} DROP name`);
    await lab.extract({ table });
    await lab.source.query(`ALTER TABLE ${table} ADD name date DEFAULT '2024-02-29'`);
    await lab.extract({ table });
    expect(await columns()).toContain('name date');
    await expectSameRows(lab, table, bronze);
  });

  testVariants(['text', 'bigint', 'numeric(20,5)', 'int[] USING ARRAY[n]', 'jsonb USING to_jsonb(n)'])(
    'that is %s now is so in bronze too, with its indexes',
    async (type) => {
      await lab.warehouse.query(`CREATE INDEX ON ${bronze} (n, name)`);
      await lab.source.query(`ALTER TABLE ${table} ALTER n TYPE ${type}`);
      await lab.extract({ table });
      await expectSameRows(lab, table, bronze);
      const { rows } = await lab.warehouse.query(
        `SELECT count(*)::int AS indexes FROM pg_index WHERE indrelid = '${bronze}'::regclass AND indisvalid`,
      );
      expect(rows).toEqual([{ indexes: 1 }]);
    },
  );
});

describe('a new type that something in bronze does not let be', () => {
  const dependents = [
    [
      'a view',
      () => `CREATE VIEW v_${table} AS SELECT n FROM ${bronze}`,
      /view \S*v_t\d+ depends on column "?n/,
    ],
    ['an index by an expression', () => `CREATE INDEX ON ${bronze} (abs(n))`, /the index/],
    [
      'an index by an operator class',
      () => `CREATE INDEX ON ${bronze} USING brin (n int4_minmax_multi_ops)`,
      /the index/,
    ],
    ['a policy', () => `CREATE POLICY few ON ${bronze} USING (n > 1)`, /policy few .* depends on column "?n/],
    [
      'a check',
      () => `ALTER TABLE ${bronze} ADD CONSTRAINT positive CHECK (abs(n) > 0)`,
      /the constraint "positive"/,
    ],
  ] as const;
  testVariants(dependents)(
    '%s: the run fails and says what, and bronze is as it was',
    async ([, dependent, words]) => {
      await lab.warehouse.query(dependent());
      await lab.source.query(`ALTER TABLE ${table} ALTER n TYPE text USING 'n' || n`);
      const before = await columns();
      const failure = await lab.extract({ table }).catch((error: unknown) => error);
      expect(failure).toMatchObject({ cause: { type: 'SchemaConflict' } });
      expect((failure as { cause: Error }).cause.message).toMatch(words);
      expect(await columns()).toEqual(before);
      const { rows } = await lab.warehouse.query(`SELECT sum(n)::int AS sum FROM ${bronze}`);
      expect(rows).toEqual([{ sum: 1275 }]);
      expect(await lab.leftoversAtLast()).toEqual([]);
    },
  );
});
