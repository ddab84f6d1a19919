import { afterAll, beforeAll, expect, test } from 'vitest';
import { createForeignServer } from '../setup/foreign-server.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { expectRefused } from './expect-refused.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE TABLE people (id int PRIMARY KEY, name text, tags text[]);
    INSERT INTO people SELECT i, 'person ' || i, ARRAY['a', NULL] FROM generate_series(1, 50) i`);
});
afterAll(async () => lab.close());

const kinds = {
  'a view': 'CREATE VIEW people_view AS SELECT id, upper(name) AS name, tags FROM people WHERE id > 10',
  'a materialized view': 'CREATE MATERIALIZED VIEW people_mat AS SELECT * FROM people WHERE id > 10',
  'an unlogged table': 'CREATE UNLOGGED TABLE people_unlogged AS SELECT * FROM people',
  'a table without a primary key, with equal rows': `CREATE TABLE people_twice AS SELECT 'same' AS name FROM generate_series(1, 20)`,
  'a table with dropped columns': `CREATE TABLE people_dropped AS SELECT * FROM people;
    ALTER TABLE people_dropped DROP COLUMN name, ADD COLUMN later int DEFAULT 7; INSERT INTO people_dropped VALUES (99, NULL, 8)`,
  'generated and identity columns': `CREATE TABLE people_made (id bigint GENERATED ALWAYS AS IDENTITY, a int,
      stored int GENERATED ALWAYS AS (a * 2) STORED, virtual int GENERATED ALWAYS AS (a * 3) VIRTUAL);
    INSERT INTO people_made (a) SELECT i FROM generate_series(1, 20) i`,
  'a tree of inheritance': `CREATE TABLE people_parent (id int, name text); CREATE TABLE people_child (extra int) INHERITS (people_parent);
    CREATE TABLE people_grandchild (name text, id int) INHERITS (people_child);
    INSERT INTO people_parent VALUES (1, 'parent'); INSERT INTO people_child VALUES (2, 'child', 0); INSERT INTO people_grandchild VALUES (3, 'grandchild')`,
  'partitions whose columns are in another order': `CREATE TABLE people_parts (id int, name text) PARTITION BY RANGE (id);
    CREATE TABLE people_low (name text, dropped int, id int); ALTER TABLE people_low DROP COLUMN dropped;
    ALTER TABLE people_parts ATTACH PARTITION people_low FOR VALUES FROM (0) TO (10);
    CREATE TABLE people_high PARTITION OF people_parts FOR VALUES FROM (10) TO (100) PARTITION BY LIST (name);
    CREATE TABLE people_rest PARTITION OF people_high DEFAULT; INSERT INTO people_parts VALUES (1, 'low'), (50, 'high')`,
}; // prettier-ignore

test.each(Object.entries(kinds))('%s arrives', async (_, sql) => {
  await lab.source.query(sql);
  const table = /people_\w+/.exec(sql)?.[0] ?? '';
  const { rows } = await lab.extract({ table, verify: 'checksum' });
  expect(rows).toBeGreaterThan(1);
  await expectSameRows(lab, table, `bronze.br_${table}`);
});

test('a virtual column that a partition computes otherwise than its table has the values of the partition, and a warning says so', async () => {
  await lab.source
    .query(`CREATE TABLE computed (id int, same int GENERATED ALWAYS AS (id + 1) VIRTUAL, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL)
      PARTITION BY RANGE (id);
    CREATE TABLE computed_low PARTITION OF computed FOR VALUES FROM (0) TO (10);
    CREATE TABLE computed_high PARTITION OF computed (twice GENERATED ALWAYS AS (id * 3) VIRTUAL) FOR VALUES FROM (10) TO (20);
    INSERT INTO computed VALUES (1), (11)`);
  const { warnings } = await lab.extract({ table: 'computed' });
  expect(warnings).toEqual([
    expect.stringContaining('"twice" has another expression in public.computed_high than in public.computed'),
  ]);
  const { rows } = await lab.warehouse.query('SELECT id, same, twice FROM bronze.br_computed ORDER BY id');
  expect(rows).toEqual([
    { id: 1, same: 2, twice: 2 },
    { id: 11, same: 12, twice: 33 },
  ]);
  const request = { table: 'computed', exclude: ['twice'], target: 'computed_same' };
  expect(await lab.extract(request)).toMatchObject({ warnings: [] });
});

test('a temporary child that some session has is no part of its parent', async () => {
  await lab.source.query(`CREATE TABLE parent_of_passing (id int); INSERT INTO parent_of_passing VALUES (1);
    CREATE TEMPORARY TABLE passing_child () INHERITS (parent_of_passing); INSERT INTO passing_child VALUES (2)`);
  expect(await lab.extract({ table: 'parent_of_passing' })).toMatchObject({ rows: 1, partitions: 1 });
  await lab.source.query('DROP TABLE passing_child');
});

test('a table with no columns arrives with its rows', async () => {
  await lab.source.query(`CREATE TABLE nothing ();
    INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES`);
  expect(await lab.extract({ table: 'nothing', verify: 'checksum' })).toMatchObject({ rows: 2 });
  const { rows } = await lab.warehouse.query('SELECT count(*)::int AS rows FROM bronze.br_nothing');
  expect(rows).toEqual([{ rows: 2 }]);
  await lab.source.query('TRUNCATE nothing');
  expect(await lab.extract({ table: 'nothing', verify: 'checksum' })).toMatchObject({ rows: 0 });
});

test('a table with no columns arrives with the rows of tables that inherit from it', async () => {
  await lab.source.query(`CREATE TABLE bare (); CREATE TABLE bare_number (n int) INHERITS (bare);
    INSERT INTO bare DEFAULT VALUES; INSERT INTO bare_number SELECT generate_series(1, 3)`);
  expect(await lab.extract({ table: 'bare', verify: 'checksum' })).toMatchObject({ rows: 4 });
  const { rows } = await lab.warehouse.query(
    'SELECT _bronze_partition AS part, count(*)::int AS rows FROM bronze.br_bare GROUP BY part ORDER BY part',
  );
  expect(rows).toEqual([
    { part: 'bare', rows: 1 },
    { part: 'bare_number', rows: 3 },
  ]);
});

test('foreign tables arrive, of another server and of a file', async () => {
  await createForeignServer(lab);
  await lab.source.query(`CREATE EXTENSION file_fdw;
    CREATE FOREIGN TABLE people_far (id int, name text, tags text[]) SERVER here OPTIONS (table_name 'people');
    CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
    CREATE FOREIGN TABLE lines (line text) SERVER files OPTIONS (filename '/etc/hostname')`);
  for (const table of ['people_far', 'lines']) {
    await lab.extract({ table, verify: 'checksum' });
    await expectSameRows(lab, table, `bronze.br_${table}`);
  }
});

test('what the server of a foreign table answers is told by its SQLSTATE, and does not start the run anew', async () => {
  await lab.source.query(`CREATE FUNCTION refuses(text) RETURNS text LANGUAGE plpgsql AS $$
      BEGIN RAISE sqlstate '55000' USING MESSAGE = 'no ' || $1; END $$;
    CREATE VIEW people_refused AS SELECT id, public.refuses(name) AS name FROM people;
    CREATE FOREIGN TABLE refused_far (id int, name text) SERVER here OPTIONS (table_name 'people_refused');
    CREATE FOREIGN TABLE gone_far (id int, name text) SERVER here OPTIONS (table_name 'people_gone')`);
  const answered = 'the server of a foreign table answered with an error (SQLSTATE';
  await expectRefused(lab, { table: 'gone_far' }, 'UndefinedObject', `${answered} 42P01)`);
  await expectRefused(lab, { table: 'refused_far' }, 'Unexpected', `${answered} 55000)`);
});

test('a foreign partition is read like the others', async () => {
  await lab.source.query(`CREATE TABLE mixed (id int, name text, tags text[]) PARTITION BY RANGE (id);
    CREATE TABLE mixed_here PARTITION OF mixed FOR VALUES FROM (100) TO (200); INSERT INTO mixed VALUES (150, 'here', NULL);
    CREATE FOREIGN TABLE mixed_far PARTITION OF mixed FOR VALUES FROM (0) TO (100) SERVER here OPTIONS (table_name 'people')`);
  const { partitions } = await lab.extract({ table: 'mixed', verify: 'checksum' });
  expect(partitions).toBe(2);
  await expectSameRows(lab, 'mixed', 'bronze.br_mixed');
});

test(
  'as many columns arrive as fit beside the metadata, and one more is refused with the reason',
  { tags: 'long' },
  async () => {
    const columns = (count: number) =>
      Array.from({ length: count }, (_, index) => `c${index} int DEFAULT ${index}`).join(', ');
    await lab.source.query(`CREATE TABLE widest (${columns(1594)}); INSERT INTO widest DEFAULT VALUES;
    CREATE TABLE wider (${columns(1600)}); INSERT INTO wider DEFAULT VALUES`);
    expect(await lab.extract({ table: 'widest', verify: 'checksum' })).toMatchObject({ rows: 1 });
    const { rows } = await lab.warehouse.query('SELECT c0, c1593 FROM bronze.br_widest');
    expect(rows).toEqual([{ c0: 0, c1593: 1593 }]);
    await expectRefused(
      lab,
      { table: 'wider' },
      'UnsupportedTable',
      'a table has at most 1600: leave out 6 with "exclude"',
    );
    expect(
      await lab.extract({ table: 'wider', exclude: ['c0', 'c1', 'c2', 'c3', 'c4', 'c5'] }),
    ).toMatchObject({
      rows: 1,
    });
  },
);

test('what nobody else can read is refused with the reason', async () => {
  await lab.source
    .query(`CREATE TEMPORARY TABLE passing (id int); CREATE MATERIALIZED VIEW empty_mat AS SELECT 1 AS one WITH NO DATA;
    CREATE SEQUENCE numbers; CREATE TYPE some_type AS (a int); CREATE INDEX people_names ON people (name)`);
  const { rows } = await lab.source.query<{ schema: string }>(
    `SELECT nspname AS schema FROM pg_namespace WHERE oid = pg_my_temp_schema()`,
  );
  await expectRefused(
    lab,
    { table: `${rows[0]?.schema}.passing` },
    'UnsupportedTable',
    'is a temporary table, which only the session that made it',
  );
  await expectRefused(
    lab,
    { table: 'empty_mat' },
    'UnsupportedTable',
    'has no contents yet: REFRESH MATERIALIZED VIEW fills it',
  );
  await expectRefused(lab, { table: 'numbers' }, 'UnsupportedTable', 'public.numbers is a sequence');
  await expectRefused(
    lab,
    { table: 'some_type' },
    'UnsupportedTable',
    'public.some_type is a composite type',
  );
  await expectRefused(lab, { table: 'people_names' }, 'UnsupportedTable', 'public.people_names is an index');
});

test('row-level security that hides rows is told in the result, or refused where all rows are required', async () => {
  await lab.source
    .query(`CREATE TABLE secrets (id int, owner text); INSERT INTO secrets VALUES (1, 'extractor'), (2, 'somebody');
    ALTER TABLE secrets ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON secrets USING (owner = current_user)`);
  const { rows, warnings } = await lab.extract({ table: 'secrets' });
  expect(rows).toBe(1);
  expect(warnings).toEqual([expect.stringContaining('rows that its policies hide were not extracted')]);
  await expectRefused(
    lab,
    { table: 'secrets', requireAllRows: true },
    'RowsHidden',
    'Row-level security is active on public.secrets for the role extractor',
  );
  expect(await lab.extract({ table: 'people', requireAllRows: true })).toMatchObject({
    rows: 50,
    warnings: [],
  });
});

test('row-level security below a view is not overlooked where all rows are required', async () => {
  await lab.source.query('CREATE VIEW secrets_view WITH (security_invoker) AS SELECT * FROM secrets');
  await expectRefused(
    lab,
    { table: 'secrets_view', requireAllRows: true },
    'RowsHidden',
    'row-level security',
  );
});

test('a source whose own functions somebody replaced has nothing run in the warehouse', async () => {
  await lab.source.query(`CREATE TABLE forged (id int, note text); INSERT INTO forged VALUES (1, 'x');
    ALTER FUNCTION pg_catalog.format_type(oid, int) RENAME TO format_type_before;
    CREATE FUNCTION pg_catalog.format_type(type oid, modifier int) RETURNS text LANGUAGE sql STABLE AS $$
      SELECT CASE type WHEN 'text'::regtype
        THEN 'text); CREATE TABLE bronze.taken AS SELECT * FROM bronze.extraction_targets; CREATE TEMP TABLE other (note text'
        ELSE pg_catalog.format_type_before(type, modifier) END $$`);
  try {
    await lab.extract({ table: 'forged' });
  } finally {
    await lab.source.query(`DROP FUNCTION pg_catalog.format_type(oid, int);
      ALTER FUNCTION pg_catalog.format_type_before(oid, int) RENAME TO format_type`);
  }
  const { rows } = await lab.warehouse.query(
    `SELECT to_regclass('bronze.taken') AS taken, id, note FROM bronze.br_forged`,
  );
  expect(rows).toEqual([{ taken: null, id: 1, note: 'x' }]);
});
