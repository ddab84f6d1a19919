import { afterAll, beforeAll, expect, test } from 'vitest';
import { extractIncrement } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { operatorTrap, trap } from '../setup/trap.ts';
import { difficultTable, madeTypesAs, madeTypesTable } from './difficult-values.ts';

/** Settings that change the text of a value, how text is parsed, or how a statement is interpreted. */
const ODD_SETTINGS = [
  "DateStyle = 'SQL, DMY'",
  "TimeZone = 'Asia/Kathmandu'",
  "IntervalStyle = 'iso_8601'",
  'extra_float_digits = -10',
  "bytea_output = 'escape'",
  "xmloption = 'document'",
  'array_nulls = off',
  "client_encoding = 'LATIN1'",
  'quote_all_identifiers = on',
  "search_path = 'elsewhere'",
  "default_transaction_isolation = 'serializable'",
  'row_security = off',
  'synchronous_commit = off',
];

/** Functions that fit our calls better than PostgreSQL's own, created by someone in a schema of the search path. */
const TRAPS = [
  'CREATE SCHEMA elsewhere; GRANT USAGE ON SCHEMA elsewhere TO PUBLIC',
  trap('elsewhere.hashtextextended(text, int)', 'bigint'),
  trap('elsewhere.unnest(oid[])', 'SETOF oid'),
  trap('elsewhere.unnest(text[])', 'SETOF text'),
  trap('elsewhere.to_jsonb(pg_inherits)', 'jsonb'),
  trap('elsewhere.pg_identify_object(regclass, oid, int)', 'text'),
  trap('elsewhere.num_nulls(text)', 'int'),
  operatorTrap('elsewhere', '<>', 'oid', 'int'),
  operatorTrap('elsewhere', '>=', 'varchar', 'text'),
  operatorTrap('elsewhere', '<', 'varchar', 'text'),
];

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  for (const side of ['source', 'warehouse'] as const) await lab[side].query(TRAPS.join(';'));
  const roles = [['source', 'extractor'], ['warehouse', 'loader']] as const; // prettier-ignore
  for (const [side, role] of roles) {
    await lab[side].query('CREATE EXTENSION hstore');
    for (const setting of ODD_SETTINGS) {
      await lab[side].query(`ALTER ROLE ${role} IN DATABASE ${side}_${lab.name} SET ${setting}`);
    }
    // in a warehouse it means that nobody is to write, which is respected: test/inputs/warehouse-away.test.ts
    if (side === 'source')
      await lab.source.query(
        `ALTER ROLE extractor IN DATABASE source_${lab.name} SET default_transaction_read_only = on`,
      );
  }
  await lab.startWorkers();
});
afterAll(async () => lab.close());

test('binary copies keep every value whatever the roles are set to', async () => {
  await lab.source.query(difficultTable('difficult', 'binary'));
  await lab.extract({ table: 'difficult' });
  await expectSameRows(lab, 'difficult', 'bronze.br_difficult');
});

test('text copies keep every value whatever the roles are set to', async () => {
  await lab.source.query(difficultTable('as_text', 'text'));
  await lab.source.query(`ALTER TABLE as_text ADD h hstore; UPDATE as_text SET h = 'a=>NULL'`);
  await lab.extract({ table: 'as_text' });
  await expectSameRows(lab, 'as_text', 'bronze.br_as_text');
});

test('casts keep every value whatever the roles are set to', async () => {
  await lab.source.query(madeTypesTable('made'));
  await lab.extract({ table: 'made' });
  await expectSameRows(lab, 'made', 'bronze.br_made', { as: madeTypesAs });
});

test('own statements call nothing that a schema of the path has, whatever it fits', async () => {
  await lab.source.query(`CREATE TYPE elsewhere.pair AS (a int, b text);
    CREATE TABLE tempting (id varchar(9) COLLATE "C" PRIMARY KEY, r regclass, rs regclass[], p elsewhere.pair);
    INSERT INTO tempting SELECT i, 'pg_class'::regclass, '{pg_class}'::regclass[], ROW(i, 'b')::elsewhere.pair FROM generate_series(1, 9) AS i`);
  await lab.source.query(trap('elsewhere.to_jsonb(elsewhere.pair)', 'jsonb'));
  for (const rows of [9, 1]) {
    const request = { table: 'tempting', incremental: { column: 'id' }, verify: 'checksum' } as const;
    expect(await extractIncrement(lab, request)).toMatchObject({ rows });
  }
});

test('what users have written finds what it names by the path of the role', { tags: 'long' }, async () => {
  await lab.source
    .query(`CREATE FUNCTION elsewhere.named() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true';
    CREATE FUNCTION names() RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN named(); END';
    CREATE TABLE guarded AS SELECT i AS id, 'v' AS v FROM generate_series(1, 9) AS i;
    CREATE VIEW seen AS SELECT * FROM guarded WHERE public.names();
    CREATE TABLE policed AS TABLE guarded; ALTER TABLE policed ENABLE ROW LEVEL SECURITY;
    CREATE POLICY mine ON policed USING (public.names())`);
  expect(await lab.extract({ table: 'seen', verify: 'checksum' })).toMatchObject({ rows: 9 });
  expect(await lab.extract({ table: 'seen', chunkBy: 'id' })).toMatchObject({ rows: 9 });
  expect(await lab.extract({ table: 'guarded', where: 'named()' })).toMatchObject({ rows: 9 });
});

test('what is committed is on disk', async () => {
  await lab.warehouse.query(`CREATE TABLE commits (mode text);
    CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN INSERT INTO public.commits VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$;
    CREATE TRIGGER noted AFTER INSERT ON bronze.extraction_targets FOR EACH ROW EXECUTE FUNCTION note_commit()`);
  await lab.source.query('CREATE TABLE durable AS SELECT 1 AS id');
  await lab.extract({ table: 'durable' });
  expect((await lab.warehouse.query('SELECT mode FROM commits')).rows).toEqual([{ mode: 'on' }]);
});
