import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { extractIncrement, type IncrementalResult } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { testVariants } from '../setup/variants.ts';

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

const run = async (more: Partial<ExtractTableRequest> = {}): Promise<IncrementalResult> =>
  extractIncrement(lab, { table, incremental: { column: 'at' }, ...more });

const rowsOf = async (query: string): Promise<unknown[]> => (await lab.warehouse.query(query)).rows;

describe('a table without a key', () => {
  test('is said to have none; rows that are alike are in bronze as often as in the source', async () => {
    await lab.source.query(`CREATE TABLE ${table} (name text, doc json, at timestamptz);
      INSERT INTO ${table} SELECT 'same', '{"a": 1}', '2024-01-01 12:00+00' FROM generate_series(1, 3)`);
    expect((await run()).warnings.join()).toMatch(/has no key/);
    await lab.source
      .query(`INSERT INTO ${table} SELECT 'same', '{"a": 1}', '2024-01-01 12:00+00' FROM generate_series(1, 2);
      INSERT INTO ${table} VALUES ('same', '{"a":  1}', '2024-01-01 12:00+00'), (NULL, NULL, '2024-01-01 12:00+00'), ('other', '[]', '2024-01-01 11:30+00')`);
    for (const added of [5, 0]) {
      expect((await run()).incremental).toMatchObject({ added });
      await expectSameRows(lab, table, bronze);
    }
  });

  test('may have columns of any name', { tags: 'long' }, async () => {
    await lab.source.query(`CREATE TABLE ${table} ("?whole" text, "?copy" int, "?copy?" int, at timestamptz);
      INSERT INTO ${table} VALUES ('a', 1, 2, '2024-01-01')`);
    await run();
    await lab.source.query(`INSERT INTO ${table} VALUES ('a', 1, 2, '2024-01-01')`);
    for (const added of [1, 0]) expect((await run()).incremental).toMatchObject({ added });
    await expectSameRows(lab, table, bronze);
  });

  test('is not doubled where another encoding orders its texts otherwise', { tags: 'long' }, async () => {
    const options = `TEMPLATE template0 ENCODING 'WIN1251' LOCALE 'C'`;
    await using cyrillic = await Lab.open({ sourceOptions: options });
    await cyrillic.source.query(
      `CREATE TABLE letters (c text, v int); INSERT INTO letters VALUES ('ё', 1), ('а', 2), ('я', 3), ('я', 3)`,
    );
    const request: ExtractTableRequest = { table: 'letters', incremental: { column: 'c' } };
    await extractIncrement(cyrillic, request);
    await cyrillic.source.query(`INSERT INTO letters VALUES ('я', 3)`);
    for (const added of [1, 0])
      expect((await extractIncrement(cyrillic, request)).incremental).toMatchObject({ added });
    const rows = `SELECT c, v FROM %s ORDER BY v`;
    const read = await cyrillic.source.query(rows.replace('%s', 'letters'));
    const written = await cyrillic.warehouse.query(rows.replace('%s', 'bronze.br_letters'));
    expect(written.rows).toEqual(read.rows);
  });

  testVariants<[string, Partial<ExtractTableRequest>]>([
    ['"write": "merge"', { write: 'merge' }],
    ['"detectDeletes"', { detectDeletes: true }],
    ['"currentView"', { currentView: true }],
  ])('cannot be used with %s', async ([named, more]) => {
    await lab.source.query(`CREATE TABLE ${table} (id int, at timestamptz)`);
    await expectFailure(run(more), 'InvalidInput', `${named} needs a key`);
  });
});

describe('a key that the input names', () => {
  test('of several columns is merged by', async () => {
    await lab.source.query(`CREATE TABLE ${table} (a int, "B ""b" text, v int, at timestamptz);
      INSERT INTO ${table} SELECT i % 10, 'k' || i / 10, i, '2024-01-01' FROM generate_series(0, 99) i`);
    const key = ['a', 'B "b'];
    await run({ write: 'merge', key });
    await lab.source.query(
      `UPDATE ${table} SET v = -1, at = '2024-01-02' WHERE a = 3; INSERT INTO ${table} VALUES (10, 'new', 1, '2024-01-02')`,
    );
    expect((await run({ write: 'merge', key })).incremental).toMatchObject({ added: 1, replaced: 10 });
    await expectSameRows(lab, table, bronze);
  });

  testVariants(['merge', 'append'])(
    'that two rows share is refused, at first and later, with %s',
    async (write) => {
      await lab.source.query(
        `CREATE TABLE ${table} (a int, at timestamptz); INSERT INTO ${table} VALUES (1, '2024-01-01'), (1, '2024-01-01')`,
      );
      const refused = { cause: { type: 'KeyConflict', message: expect.stringContaining('("a")') as string } };
      await expect(run({ write, key: ['a'] })).rejects.toMatchObject(refused);
      await lab.source.query(`UPDATE ${table} SET a = 2 WHERE ctid = '(0,2)'`);
      await run({ write, key: ['a'] });
      await lab.source.query(`INSERT INTO ${table} VALUES (3, '2024-01-02'), (3, '2024-01-03')`);
      await expect(run({ write, key: ['a'] })).rejects.toMatchObject(refused);
      expect(await rowsOf(`SELECT count(*)::int FROM ${bronze}`)).toEqual([{ count: 2 }]);
      expect(await lab.leftoversAtLast()).toEqual([]);
    },
  );

  test('is not blamed for a unique index that somebody made', async () => {
    await lab.source.query(
      `CREATE TABLE ${table} (id int PRIMARY KEY, v int, at timestamptz); INSERT INTO ${table} VALUES (1, 1, '2024-01-01')`,
    );
    await run({ write: 'merge' });
    await lab.warehouse.query(`CREATE UNIQUE INDEX mine_${table} ON ${bronze} (v, _bronze_run_id)`);
    await lab.source.query(`INSERT INTO ${table} VALUES (2, 2, '2024-01-02'), (3, 2, '2024-01-02')`);
    await expectFailure(run({ write: 'merge' }), 'SchemaConflict', 'the unique index');
    expect(await rowsOf(`SELECT id FROM ${bronze}`)).toEqual([{ id: 1 }]);
  });

  test('nor is a value for a constraint that somebody made', async () => {
    await lab.source.query(
      `CREATE TABLE ${table} (id int PRIMARY KEY, v int, at timestamptz); INSERT INTO ${table} VALUES (1, 1, '2024-01-01')`,
    );
    await run({ write: 'merge' });
    await lab.warehouse.query(`ALTER TABLE ${bronze} ADD CONSTRAINT few_${table} CHECK (v < 9)`);
    await lab.source.query(`INSERT INTO ${table} VALUES (2, 9, '2024-01-02')`);
    await expectFailure(
      run({ write: 'merge' }),
      'SchemaConflict',
      `the constraint "few_${table}" of the bronze table`,
    );
    expect(await rowsOf(`SELECT id FROM ${bronze}`)).toEqual([{ id: 1 }]);
  });

  test('that is NULL somewhere is refused', async () => {
    await lab.source.query(
      `CREATE TABLE ${table} (a int, at timestamptz); INSERT INTO ${table} VALUES (NULL, '2024-01-01')`,
    );
    await expect(run({ key: ['a'] })).rejects.toMatchObject({ cause: { type: 'KeyConflict' } });
  });

  testVariants<[string, (name: string) => string]>([
    [
      'not yet validated',
      (name) => `INSERT INTO ${name} VALUES (NULL, NULL), (1, '2024-01-01');
      ALTER TABLE ${name} ADD CONSTRAINT a_${name} NOT NULL a NOT VALID, ADD CONSTRAINT at_${name} NOT NULL at NOT VALID`,
    ],
    [
      'only of a parent',
      (name) => `ALTER TABLE ${name} ADD NOT NULL a NO INHERIT, ADD NOT NULL at NO INHERIT;
      CREATE TABLE ${name}_heir () INHERITS (${name}); INSERT INTO ${name}_heir VALUES (NULL, NULL), (1, '2024-01-01')`,
    ],
  ])('and cursor may be NULL where NOT NULL is %s', async ([, fill]) => {
    await lab.source.query(`CREATE TABLE ${table} (a int, at timestamptz); ${fill(table)}`);
    const refused = { cause: { type: 'KeyConflict', message: expect.stringContaining('is NULL') as string } };
    await expect(run({ key: ['a'] })).rejects.toMatchObject(refused);
    await run();
    expect((await run()).incremental).toMatchObject({ nullCursors: 1 });
  });

  testVariants(['merge', 'append'])(
    'whose type an extension brings is compared as that type has it, with %s',
    async (write) => {
      for (const side of ['source', 'warehouse'] as const)
        await lab[side].query('CREATE EXTENSION IF NOT EXISTS citext');
      await lab.source.query(`CREATE TABLE ${table} (name citext PRIMARY KEY, v int, at timestamptz);
        INSERT INTO ${table} VALUES ('Ann', 1, '2024-01-01'), ('Bob', 1, '2024-01-02'), ('Cid', 1, '2024-01-01')`);
      await run({ write, detectDeletes: true });
      await lab.source.query(`DELETE FROM ${table} WHERE name = 'Cid';
        UPDATE ${table} SET name = 'ann', v = 2, at = '2024-01-02 00:30' WHERE name = 'ANN'`);
      const moved = write === 'merge' ? { added: 0, replaced: 1 } : { added: 1, replaced: 0 };
      expect((await run({ write, detectDeletes: true })).incremental).toMatchObject({ ...moved, deleted: 1 });
      // the same version under another name is not a new one
      await lab.source.query(`UPDATE ${table} SET name = 'BOB' WHERE name = 'bob'`);
      const again = { added: 0, replaced: write === 'merge' ? 1 : 0, deleted: 0 };
      expect((await run({ write, detectDeletes: true })).incremental).toMatchObject(again);
    },
  );

  test('with a column that is not there is refused, naming one that is alike', async () => {
    await lab.source.query(`CREATE TABLE ${table} (name text, at timestamptz)`);
    await expectFailure(run({ key: ['nmae'] }), 'UndefinedObject', 'did you mean "name"');
  });
});

test('merge leaves a row alone that is as it was, and writes one that changed without its cursor', async () => {
  await lab.source
    .query(`CREATE TABLE ${table} (id int PRIMARY KEY, n numeric, j jsonb, x json, p point, f float8, at timestamptz);
    INSERT INTO ${table} SELECT i, i / 3.0, '{"a": [1.50, null]}', '{"b":1}', '(1,2)', 'NaN', '2024-01-01' FROM generate_series(1, 20) i`);
  await run({ write: 'merge' });
  await lab.source.query(
    `UPDATE ${table} SET n = 1.0 WHERE id = 1; UPDATE ${table} SET n = 1.00 WHERE id = 2`,
  );
  expect((await run({ write: 'merge' })).incremental).toMatchObject({ added: 0, replaced: 2, unchanged: 18 });
  expect((await run({ write: 'merge' })).incremental).toMatchObject({ added: 0, replaced: 0, unchanged: 20 });
  await expectSameRows(lab, table, bronze);
});

describe('detectDeletes', () => {
  testVariants(['merge', 'append'])(
    'marks the rows whose key is gone, and takes the mark off one that is back, with %s',
    async (write) => {
      await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v int, at timestamptz);
      INSERT INTO ${table} SELECT i, i, '2024-01-01' FROM generate_series(1, 20) i`);
      const options = { write, detectDeletes: true, currentView: true } as const;
      await run(options);
      await lab.source.query(
        `UPDATE ${table} SET v = 0, at = '2024-01-02' WHERE id IN (3, 4); DELETE FROM ${table} WHERE id IN (4, 5, 6); INSERT INTO ${table} VALUES (21, 21, '2024-01-02')`,
      );
      const { incremental, rows } = await run(options);
      expect(incremental).toMatchObject({ deleted: 3 });
      expect(rows).toBe(18);
      const marked = `SELECT DISTINCT id FROM ${bronze} WHERE _bronze_deleted_at IS NOT NULL ORDER BY id`;
      expect(await rowsOf(marked)).toEqual([{ id: 4 }, { id: 5 }, { id: 6 }]);
      await expectSameRows(lab, table, `${bronze}_current`);

      expect((await run(options)).incremental.deleted).toBe(0);
      await lab.source.query(`INSERT INTO ${table} VALUES (5, 5, '2024-01-01'), (6, 66, '2024-01-03')`);
      expect((await run(options)).incremental).toMatchObject({ deleted: 0 });
      expect(await rowsOf(marked)).toEqual([{ id: 4 }]);
      await expectSameRows(lab, table, `${bronze}_current`);
      expect(await lab.leftoversAtLast()).toEqual([]);
    },
  );

  testVariants(['merge', 'append'])(
    'with write %s: a row that is back as it was is shown again',
    async (write) => {
      await lab.source.query(
        `CREATE TABLE ${table} (id int PRIMARY KEY, at timestamptz); INSERT INTO ${table} VALUES (1, '2024-01-01'), (2, '2024-01-01')`,
      );
      await run({ write, currentView: true });
      await lab.source.query(`DELETE FROM ${table} WHERE id = 2`);
      await run({ write, currentView: true, detectDeletes: true });
      await lab.source.query(`INSERT INTO ${table} VALUES (2, '2024-01-01')`);
      await run({ write });
      await expectSameRows(lab, table, `${bronze}_current`);
      expect((await run({ write })).incremental).toMatchObject({ added: 0, replaced: 0, unchanged: 2 });
    },
  );

  test('compares the keys of every partition, in the moment of the rows', { tags: 'long' }, async () => {
    await lab.source
      .query(`CREATE TABLE ${table} (id int, at timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
      CREATE TABLE ${table}_1 PARTITION OF ${table} FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
      CREATE TABLE ${table}_2 PARTITION OF ${table} FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
      INSERT INTO ${table} SELECT i, '2024-01-02' FROM generate_series(1, 10) i; INSERT INTO ${table} SELECT i, '2024-02-02' FROM generate_series(1, 10) i`);
    await run({ detectDeletes: true, currentView: true });
    await lab.source.query(`DELETE FROM ${table} WHERE id = 3`);
    expect((await run({ detectDeletes: true, currentView: true })).incremental.deleted).toBe(2);
    await expectSameRows(lab, table, `${bronze}_current`);
  });
});

describe('currentView', () => {
  test('shows the newest version of each key, and new columns too', async () => {
    await lab.source.query(
      `CREATE TABLE ${table} (id int PRIMARY KEY, v int, at timestamptz); INSERT INTO ${table} SELECT i, i, '2024-01-01' FROM generate_series(1, 20) i`,
    );
    await run({ currentView: true });
    for (const day of [2, 3]) {
      await lab.source.query(
        `UPDATE ${table} SET v = ${day}, at = '2024-01-0${day}' WHERE id <= 10; ALTER TABLE ${table} ADD c${day} int DEFAULT 1`,
      );
      await run({ currentView: true });
    }
    expect(await rowsOf(`SELECT count(*)::int FROM ${bronze}`)).toEqual([{ count: 40 }]);
    await expectSameRows(lab, table, `${bronze}_current`, { columns: ['id', 'v', 'at'] });
    expect(await rowsOf(`SELECT count(c3)::int FROM ${bronze}_current WHERE id <= 10`)).toEqual([
      { count: 10 },
    ]);
  });

  test('takes no name that somebody else uses', async () => {
    await lab.source.query(
      `CREATE TABLE ${table} (id int PRIMARY KEY, at timestamptz); INSERT INTO ${table} VALUES (1, '2024-01-01')`,
    );
    await run();
    await lab.warehouse.query(`CREATE VIEW ${bronze}_current AS SELECT 1 AS mine`);
    await expect(run({ currentView: true })).rejects.toMatchObject({ cause: { type: 'TargetConflict' } });
    expect(await rowsOf(`SELECT * FROM ${bronze}_current`)).toEqual([{ mine: 1 }]);
  });
});

test.each([
  [{ table: 'x', write: 'merge' }, /write: only allowed with "incremental"/],
  [{ table: 'x', detectDeletes: true }, /detectDeletes: only allowed/],
  [{ table: 'x', consistency: 'none', incremental: { column: 'at' } }, /consistency: "none" is not allowed/],
  [
    { table: 'x', incremental: { colum: 'at' } },
    /incremental\.colum: unknown key \(did you mean "column"\?\)/,
  ],
  [{ table: 'x', incremental: { column: 'at', lookback: 'an hour' } }, /lookback: expected a duration/],
  [{ table: 'x', incremental: { column: 'at', lookback: -1 } }, /lookback: expected a duration/],
  [{ table: 'x', key: ['a', 'a'], incremental: { column: 'at' } }, /key: names a column twice/],
  [{ table: 'x', write: 'replace', incremental: { column: 'at' } }, /write/],
])('an input that cannot be is refused: %j', async (input, message) => {
  await expectFailure(lab.extract(input as unknown as ExtractTableRequest), 'InvalidInput', message);
});
