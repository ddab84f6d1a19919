import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

test('an empty table becomes an empty table with all its columns', async () => {
  await lab.source.query('CREATE TABLE nothing (id int PRIMARY KEY, at timestamptz)');
  expect(await lab.extract({ table: 'nothing' })).toMatchObject({ rows: 0, outcome: 'committed' });
  await expectSameRows(lab, 'nothing', 'bronze.br_nothing');
});

test('a table with no columns keeps the number of its rows', async () => {
  await lab.source.query('CREATE TABLE blank (); INSERT INTO blank SELECT FROM generate_series(1, 7)');
  expect(await lab.extract({ table: 'blank' })).toMatchObject({ rows: 7 });
  await expectSameRows(lab, 'blank', 'bronze.br_blank');
});

test(
  'rows that are alike are as many as they were, where there is no primary key',
  { tags: 'long' },
  async () => {
    await lab.source.query(`CREATE TABLE alike (a int, b text);
    INSERT INTO alike SELECT i % 3, CASE WHEN i % 5 > 0 THEN 'x' END FROM generate_series(1, 30000) i`);
    expect(await lab.extract({ table: 'alike', chunkSize: '128kB' })).toMatchObject({ rows: 30_000 });
    await expectSameRows(lab, 'alike', 'bronze.br_alike');
  },
);

test('rows wider than a block come whole, however they are stored', { tags: 'long' }, async () => {
  await lab.source.query(`CREATE TABLE wide (id int, compressed text, external bytea, plain text);
    ALTER TABLE wide ALTER external SET STORAGE EXTERNAL, ALTER plain SET STORAGE PLAIN;
    INSERT INTO wide
      SELECT i, repeat('ab', 1000 * i), (SELECT string_agg(sha512(format('%s %s', i, j)::bytea), '') FROM generate_series(1, 40 * i) j), 'p'
        FROM generate_series(1, 60) i;
    UPDATE wide SET plain = 'q' WHERE id % 3 = 0; -- the values beside stay where they were
    INSERT INTO wide VALUES (61, NULL, '', ''), (62, repeat('x', 20000000), NULL, NULL)`);
  expect(await lab.extract({ table: 'wide', chunkSize: '8kB' })).toMatchObject({ rows: 62 });
  await expectSameRows(lab, 'wide', 'bronze.br_wide');
});

test('a thousand columns come', { tags: 'long' }, async () => {
  const columns = Array.from({ length: 1000 }, (_, index) => `c${index} int DEFAULT ${index}`);
  await lab.source.query(`CREATE TABLE broad (${columns.join(', ')});
    INSERT INTO broad (c1) SELECT i FROM generate_series(1, 50) i`);
  await lab.extract({ table: 'broad' });
  await expectSameRows(lab, 'broad', 'bronze.br_broad');
});

test('generated, identity, defaulted and dropped columns are what a SELECT shows', async () => {
  await lab.source
    .query(`CREATE TABLE made (id int GENERATED ALWAYS AS IDENTITY, gone text, n numeric NOT NULL,
      twice numeric GENERATED ALWAYS AS (n * 2) STORED, virtual numeric GENERATED ALWAYS AS (n * 3) VIRTUAL);
    INSERT INTO made (n) SELECT i FROM generate_series(1, 100) i;
    ALTER TABLE made ADD late text DEFAULT 'not in the rows', DROP gone`);
  await lab.extract({ table: 'made' });
  await expectSameRows(lab, 'made', 'bronze.br_made');
});

test('views, materialized views and unlogged tables are read like tables', { tags: 'long' }, async () => {
  await lab.source.query(`CREATE UNLOGGED TABLE base (id int, v text);
    INSERT INTO base SELECT i, i::text FROM generate_series(1, 3000) i;
    CREATE VIEW shown AS SELECT id, v FROM base WHERE id > 10;
    CREATE MATERIALIZED VIEW kept AS SELECT id FROM base`);
  for (const table of ['base', 'shown', 'kept']) {
    await lab.extract({ table, chunkSize: '16kB' });
    await expectSameRows(lab, table, `bronze.br_${table}`);
  }
});

test('the second of a table whose bronze table is dropped is like the first', async () => {
  await lab.source.query('CREATE TABLE again (id int); INSERT INTO again VALUES (1)');
  await lab.extract({ table: 'again' });
  await lab.warehouse.query('DROP TABLE bronze.br_again');
  await lab.extract({ table: 'again' });
  await expectSameRows(lab, 'again', 'bronze.br_again');
  expect(await lab.leftoversAtLast()).toEqual([]);
});

test('metadata is a constant of the catalog: the file of the table holds no byte of it', async () => {
  await lab.source.query(
    'CREATE TABLE lean (id int, v text); INSERT INTO lean SELECT i FROM generate_series(1, 50000) i',
  );
  const { runId } = await lab.extract({ table: 'lean' });
  const { rows } = await lab.warehouse.query<{ name: string; missing: boolean; defaulted: boolean }>(
    `SELECT attname AS name, atthasmissing AS missing, atthasdef AS defaulted FROM pg_attribute
      WHERE attrelid = (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'bronze.br_lean'::regclass)
        AND attname LIKE '\\_bronze\\_%'`,
  );
  expect(rows).toHaveLength(6);
  expect(rows.every(({ missing, defaulted }) => missing && !defaulted)).toBe(true);
  const { rows: values } = await lab.warehouse.query(
    `SELECT DISTINCT _bronze_schema, _bronze_table, _bronze_run_id, _bronze_source LIKE 'postgresql://127.0.0.1/source_%' AS source,
            _bronze_loaded_at BETWEEN now() - interval '1 minute' AND now() AS just_now FROM bronze.br_lean`,
  );
  expect(values).toEqual([
    { _bronze_schema: 'public', _bronze_table: 'lean', _bronze_run_id: runId, source: true, just_now: true },
  ]);
  expect(
    await tupleBytes(
      'warehouse',
      `SELECT inhrelid FROM pg_inherits WHERE inhparent = 'bronze.br_lean'::regclass`,
    ),
  ).toBe(await tupleBytes('source', `SELECT 'lean'::regclass`));
});

async function tupleBytes(side: 'source' | 'warehouse', table: string): Promise<string | undefined> {
  await lab[side].query('CREATE EXTENSION pgstattuple');
  const { rows } = await lab[side].query<{ tuple_len: string }>(
    `SELECT tuple_len FROM pgstattuple((${table})::regclass)`,
  );
  return rows[0]?.tuple_len;
}
