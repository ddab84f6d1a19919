import { afterAll, beforeEach, expect, inject, test } from 'vitest';
import { Client } from 'pg';
import { findTargetsUnderWay, findUnderWay } from '../../src/bronze/bookkeeping/abandoned-runs.ts';
import { migrate } from '../../src/bronze/migrate.ts';
import { Database } from '../../src/postgres/database.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { withDatabase } from '../setup/lab.ts';

const DATABASE = `migrated_${process.pid}`;
const open: (() => Promise<void>)[] = [];

beforeEach(async () => {
  await administer(inject('warehouseAdmin'), [
    `DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`,
    `CREATE DATABASE ${DATABASE}`,
  ]);
});
afterAll(async () => {
  for (const close of open) await close();
  await administer(inject('warehouseAdmin'), [`DROP DATABASE IF EXISTS ${DATABASE} WITH (FORCE)`]);
});

const admin = () => withDatabase(inject('warehouseAdmin'), DATABASE);
const asOwner = async (sql: string) => administer(admin(), [sql]);

function warehouse(): Database {
  const database = new Database({
    label: 'warehouse',
    settings: connectionTo(withDatabase(inject('warehouseAdmin'), DATABASE, 'loader')),
  });
  open.push(async () => database.close());
  return database;
}

/** Returns every relation in the schemas of the project, and when the migrations were applied. */
async function state(): Promise<unknown[]> {
  const client = new Client(admin());
  await client.connect();
  try {
    const relations = await client.query(
      `SELECT oid, relname, relnamespace::regnamespace::text AS schema FROM pg_class WHERE relnamespace::regnamespace::text LIKE 'bronze%' ORDER BY 2`,
    );
    const applied = await client.query(
      'SELECT name, applied_at::text FROM bronze.datakit_migrations ORDER BY name',
    );
    return [...relations.rows, ...applied.rows];
  } finally {
    await client.end();
  }
}

test('workers that start at once migrate once', async () => {
  await asOwner(`GRANT CREATE ON DATABASE ${DATABASE} TO loader`);
  const [one, other] = [warehouse(), warehouse()];
  await Promise.all([migrate(one), migrate(other), migrate(one), migrate(other)]);
  const first = await state();
  expect(first.length).toBeGreaterThan(5);
  await migrate(one);
  expect(await state()).toEqual(first);
});

test('a role that owns the schemas needs no right to make schemas', async () => {
  await asOwner(
    'CREATE SCHEMA bronze AUTHORIZATION loader; CREATE SCHEMA bronze_staging AUTHORIZATION loader; CREATE SCHEMA bronze_data AUTHORIZATION loader',
  );
  await migrate(warehouse());
  expect((await state()).length).toBeGreaterThan(5);
});

test('a role that may not make the schemas is told what to run', async () => {
  await expect(migrate(warehouse())).rejects.toMatchObject({
    kind: 'InsufficientPrivilege',
    message: `warehouse: the role may not make the schema bronze (CREATE is missing). Ask somebody who may to run: GRANT CREATE ON DATABASE "${DATABASE}" TO "loader"`,
  });
});

test('a migration that fails leaves nothing', async () => {
  await asOwner(`CREATE SCHEMA bronze AUTHORIZATION loader; GRANT CREATE ON DATABASE ${DATABASE} TO loader;
    CREATE VIEW bronze.extraction_runs AS SELECT 'in the way' AS word; ALTER VIEW bronze.extraction_runs OWNER TO loader`);
  await expect(migrate(warehouse())).rejects.toThrow('extraction_runs');
  await asOwner('DROP VIEW bronze.extraction_runs');
  await migrate(warehouse());
  expect((await state()).length).toBeGreaterThan(5);
});

test('a migration that would wait for a reader steps back, so that others can write meanwhile', async () => {
  await asOwner(`GRANT CREATE ON DATABASE ${DATABASE} TO loader`);
  await migrate(warehouse());
  const migrated = await state();
  await asOwner(`ALTER TABLE bronze.cdc_changes DROP COLUMN json_nulls;
    DELETE FROM bronze.datakit_migrations WHERE name = '011-json-nulls.sql'`);
  const reader = new Client(admin());
  await reader.connect();
  await reader.query('BEGIN; SELECT FROM bronze.cdc_changes');
  await expect(migrate(warehouse())).rejects.toMatchObject({ kind: 'LockTimeout' });
  await reader.end();
  await migrate(warehouse());
  expect((await state()).length).toBe(migrated.length);
});

test('what is under way is found without reading the history', { tags: 'long' }, async () => {
  await asOwner(`GRANT CREATE ON DATABASE ${DATABASE} TO loader`);
  const database = warehouse();
  await migrate(database);
  await asOwner(`INSERT INTO bronze.extraction_runs
      (run_id, workflow_id, source, source_uri, source_schema, source_table, target, namespace, status)
    SELECT n, n, 'default', '', 'public', 'orders', 'br_orders', 'default', CASE n WHEN 7 THEN 'running' ELSE 'committed' END
      FROM generate_series(1, 20000) AS n;
    INSERT INTO bronze.extraction_database_runs (run_id, workflow_id, namespace, source, consistency, status, tables)
    SELECT n, n, 'default', 'default', 'snapshot', 'complete', 1 FROM generate_series(1, 20000) AS n;
    ANALYZE`);
  await database.write({}, async (session) => {
    const run = { runId: '7', workflowId: '7', namespace: 'default' };
    const namespaces = ['default'];
    expect(await findUnderWay(session, { namespaces })).toEqual([run]);
    expect(await findUnderWay(session, { namespaces, target: 'br_orders' })).toEqual([run]);
    const others = { namespace: 'default', targets: ['br_orders'], runIds: ['8'] };
    expect(await findTargetsUnderWay(session, others)).toEqual(new Set(['br_orders']));
    expect(
      await session.one(
        `SELECT sum(seq_tup_read + idx_tup_fetch)::int AS read FROM pg_stat_xact_user_tables
          WHERE relname IN ('extraction_runs', 'extraction_database_runs')`,
      ),
    ).toEqual({ read: 3 });
  });
});
