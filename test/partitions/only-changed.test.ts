import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, type QueryResult } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import type { ExtractTableRequest, ExtractTableResult } from '../../src/contract/extract-table.ts';
import { administer } from '../setup/administer.ts';
import { Gate } from '../setup/gate.ts';
import { Lab, withDatabase } from '../setup/lab.ts';
import { createExtractor } from '../setup/roles.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { startTestServer } from '../setup/test-server.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
/** A run after one of all tables, and after a change that one of them was late for. */
let shared: Promise<ExtractTableResult>;
/** A run that has to wait until a session must have reported its counters. */
let late: Promise<ExtractTableResult>;
/** The change in the statistics when that run was started. */
let counted: unknown;

beforeAll(async () => {
  lab = await Lab.open();
  onlooker = await lab.connect('source', 'extractor');
  await onlooker.query(`SET application_name = 'datakit-postgres-extractor'`);
  await changeAfterSnapshot();
  shared = lab.extract({ ...request, table: 'shared' });
  await lab.source
    .query(`CREATE TABLE other (id int); CREATE TABLE late (id int, part int) PARTITION BY LIST (part);
    CREATE TABLE late_1 PARTITION OF late FOR VALUES IN (1); CREATE TABLE late_2 PARTITION OF late FOR VALUES IN (2);
    INSERT INTO late SELECT i, 1 + i % 2 FROM generate_series(1, 100) i`);
  await lab.source.query(`SELECT pg_stat_force_next_flush()`);
  await lab.extract({ ...request, table: 'late' });
  // the first statement is reported when it ends, and what ends a moment later is kept back
  await lab.source.query(`INSERT INTO other VALUES (1)`);
  await lab.source.query(`UPDATE late SET id = -id WHERE part = 2`);
  counted = (await change(`SELECT pg_stat_get_tuples_updated('late_2'::regclass)::int AS rows`)).rows;
  late = lab.extract({ ...request, table: 'late' });
});
afterAll(async () => {
  // no test waits for them where only the long ones run
  await Promise.allSettled([shared, late]);
  await lab.close();
});

const request: ExtractTableRequest = { table: 'kept', write: 'replace-partitions', onlyChanged: true };

/** A session of our own role and name, which only reads and is not waited for. */
let onlooker: Client;

/** Runs statements in a session that ends, and so reports its counters. */
async function change(...statements: string[]): Promise<QueryResult> {
  const session = await lab.connect('source');
  const results: QueryResult[] = [];
  for (const statement of statements) results.push(await session.query(statement));
  const { rows } = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
  await session.end();
  const isThere = `SELECT FROM pg_stat_activity WHERE pid = $1`;
  await waitUntil(async () => (await onlooker.query(isThere, [rows[0]?.pid])).rowCount === 0);
  return results.at(-1) as QueryResult;
}

/** Extracts all tables, and changes one of them between their snapshot and its turn. */
async function changeAfterSnapshot(): Promise<void> {
  await change(`CREATE TABLE slow AS SELECT id, repeat('x', 100) AS filler FROM generate_series(1, 1000) id`,
    `CREATE TABLE shared (id int, part int) PARTITION BY LIST (part);
     CREATE TABLE shared_1 PARTITION OF shared FOR VALUES IN (1); CREATE TABLE shared_2 PARTITION OF shared FOR VALUES IN (2);
     INSERT INTO shared SELECT i, 1 + i % 2 FROM generate_series(1, 100) i`); // prettier-ignore
  const gate = await Gate.closed(lab);
  const tables = [{ table: 'slow', where: 'gate(id = 1000)' }, 'shared'];
  const handle = await lab.startDatabase({ tables, parallelism: 1 });
  await gate.reached();
  await change(`UPDATE shared SET id = -id WHERE part = 2`);
  await gate.open();
  expect(await handle.result()).toMatchObject({ committed: 2, warnings: [] });
}

/** The change to each partition, by its name; none to those called `same`. */
const changes: Readonly<Record<string, (partition: string) => string>> = {
  same_1: () => '',
  same_2: () => '',
  empty_same: () => '',
  updated: (p) => `UPDATE ${p} SET v = 'other' WHERE id = (SELECT min(id) FROM ${p})`,
  deleted: (p) => `DELETE FROM ${p} WHERE id = (SELECT min(id) FROM ${p})`,
  inserted: (p) => `INSERT INTO ${p} SELECT 9000, part, 'new', 'new' FROM ${p} LIMIT 1`,
  truncated: (p) => `TRUNCATE ${p}`,
  rewritten: (p) => `ALTER TABLE ${p} SET (fillfactor = 50); VACUUM FULL ${p}`,
  swapped: (p) => `ALTER TABLE ${p} ENABLE ROW LEVEL SECURITY; CREATE POLICY half ON ${p} USING (id % 2 = 0)`,
};

test('partitions that are for sure as they were are left out, and no others', async () => {
  const names = Object.keys(changes);
  const parts = names.map((name, index) => `CREATE TABLE ${name} PARTITION OF kept FOR VALUES IN (${index})`);
  await change(`CREATE TYPE mood AS ENUM ('low', 'high'); CREATE TYPE moods AS RANGE (subtype = mood);
    CREATE TYPE size AS ENUM ('s', 'm'); CREATE TYPE sizes AS RANGE (subtype = size);
    CREATE TABLE kept (id int, part int, v text, w text) PARTITION BY LIST (part); ${parts.join(';')};
    INSERT INTO kept SELECT i, i % ${names.length}, 'v', 'w' FROM generate_series(1, 900) i WHERE i % ${names.length} <> 2;
    ALTER TABLE kept ADD tone text, ADD moods moods DEFAULT '[low,high]', ADD sizes sizes_multirange DEFAULT '{[s,m]}'`);
  const first = await lab.extract(request);
  expect(first).toMatchObject({
    partitions: names.length,
    skippedPartitions: { notAskedFor: 0, unchanged: 0 },
  });

  const statements = Object.entries(changes).map(([name, of]) => of(name)).join(';').split(';'); // prettier-ignore
  await change(...statements.filter((statement) => statement !== ''));
  const second = await lab.extract(request);
  expect(second).toMatchObject({
    outcome: 'committed',
    skippedPartitions: { notAskedFor: 0, unchanged: 3 },
    partitions: 6,
  });
  expect(second.warnings.join()).not.toContain('onlyChanged');
  const { rows } = await lab.warehouse.query<{ name: string }>(
    `SELECT DISTINCT _bronze_partition AS name FROM bronze.br_kept WHERE _bronze_run_id = $1 ORDER BY 1`,
    [first.runId],
  );
  expect(rows.map(({ name }) => name)).toEqual(['same_1', 'same_2']);

  // rows hidden by policies might have changed, so that partition is always read
  const third = await lab.extract(request);
  expect(third).toMatchObject({ outcome: 'committed', partitions: 1, skippedPartitions: { unchanged: 8 } });
  await change('ALTER TABLE swapped DISABLE ROW LEVEL SECURITY; UPDATE swapped SET v = v');
  await lab.extract(request);
  const nothing = await lab.extract(request);
  expect(nothing).toMatchObject({ outcome: 'unchanged', partitions: 0, skippedPartitions: { unchanged: 9 } });

  // values that no statement has written
  await change(
    `ALTER TABLE kept RENAME v TO x; ALTER TABLE kept RENAME w TO v; ALTER TABLE kept RENAME x TO w`,
  );
  expect(await lab.extract(request)).toMatchObject({ partitions: 9 });
  await change(`ALTER TABLE kept DROP tone`, `ALTER TABLE kept ADD tone text DEFAULT 'new'`);
  expect(await lab.extract(request)).toMatchObject({ partitions: 9 });
  await change(`ALTER TABLE kept ADD half int GENERATED ALWAYS AS (id / 2) VIRTUAL`);
  await lab.extract(request);
  await change(`ALTER TABLE kept ALTER half SET EXPRESSION AS (id / 2 + 1)`);
  expect(await lab.extract(request)).toMatchObject({ partitions: 9 });
  await change(`ALTER TYPE mood RENAME VALUE 'low' TO 'down'`);
  expect(await lab.extract(request)).toMatchObject({ partitions: 9 });
  await change(`ALTER TYPE size RENAME VALUE 's' TO 'small'`);
  expect(await lab.extract(request)).toMatchObject({ partitions: 9 });
  // counters that were reset prove nothing about what was before
  await change('SELECT pg_stat_reset()');
  expect(await lab.extract(request)).toMatchObject({ partitions: 9, skippedPartitions: { unchanged: 0 } });
  // and missing counters prove nothing about existing rows
  expect(await lab.extract(request)).toMatchObject({ partitions: 7, skippedPartitions: { unchanged: 2 } });
  await expectSameRows(lab, 'kept', 'bronze.br_kept');
});

test('values that come from elsewhere are always read: the names of objects, and of parts of values', async () => {
  await change(`CREATE TYPE pair AS (a int, b int); CREATE TABLE pointed (id int)`);
  const values = { pairs: `'(1,2)'::pair`, names: `'pointed'::regclass` };
  for (const [table, value] of Object.entries(values)) {
    await change(`CREATE TABLE ${table} (id int, v ${value.split('::')[1]}) PARTITION BY LIST (id);
      CREATE TABLE ${table}_1 PARTITION OF ${table} DEFAULT; INSERT INTO ${table} VALUES (1, ${value})`);
    await lab.extract({ ...request, table });
  }
  await change('ALTER TYPE pair RENAME ATTRIBUTE b TO c CASCADE; ALTER TABLE pointed RENAME TO renamed');
  const read = async (table: string) => {
    expect(await lab.extract({ ...request, table })).toMatchObject({ partitions: 1, rows: 1 });
    return (await lab.warehouse.query(`SELECT v FROM bronze.br_${table}`)).rows;
  };
  expect(await read('pairs')).toEqual([{ v: { a: 1, c: 2 } }]);
  expect(await read('names')).toEqual([{ v: 'public.renamed' }]);
});

test('a partition of which bronze has only a part is read, though nothing changed', async () => {
  await change(`CREATE TABLE cut (id int, day date) PARTITION BY RANGE (day);
    CREATE TABLE cut_1 PARTITION OF cut FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    INSERT INTO cut SELECT i, date '2024-01-01' + i FROM generate_series(1, 100) i`);
  expect(await lab.extract({ table: 'cut', partitions: { from: '2024-03-01' } })).toMatchObject({ rows: 41 });
  expect(await lab.extract({ ...request, table: 'cut' })).toMatchObject({ partitions: 1, rows: 100 });
  await expectSameRows(lab, 'cut', 'bronze.br_cut');
});

test('what a session has changed and not reported yet is waited for', async () => {
  expect(counted).toEqual([{ rows: 0 }]);
  expect(await late).toMatchObject({ partitions: 1, skippedPartitions: { unchanged: 1 } });
  await expectSameRows(lab, 'late', 'bronze.br_late');
});

test('what was committed after the snapshot of all tables and before the turn of one is not taken for read', async () => {
  expect(await shared).toMatchObject({ outcome: 'committed', partitions: 2 });
  await expectSameRows(lab, 'shared', 'bronze.br_shared');
});

test('counters of a database that was made anew from the same template are not taken for those of the one before', async () => {
  const [template, copy] = [`template_${lab.name}`, `copy_${lab.name}`];
  const admin = inject('sourceAdmin');
  const anew = async (changed: number) => {
    await administer(admin, [
      `DROP DATABASE IF EXISTS ${copy}`,
      `CREATE DATABASE ${copy} TEMPLATE ${template}`,
    ]);
    await administer(withDatabase(admin, copy), [`UPDATE made SET id = -id WHERE id = ${changed}`]);
    await using run = new Steps(lab, { source: withDatabase(admin, copy, 'extractor') });
    return await run.planAndFinish({ ...request, table: 'made' });
  };
  await administer(admin, [`CREATE DATABASE ${template}`]);
  await administer(withDatabase(admin, template), [
    `CREATE TABLE made (id int, part int) PARTITION BY LIST (part); CREATE TABLE made_1 PARTITION OF made DEFAULT;
     INSERT INTO made SELECT i, 1 FROM generate_series(1, 100) i; GRANT SELECT ON made, made_1 TO extractor`,
  ]);
  await anew(1);
  expect(await anew(2)).toMatchObject({ outcome: { outcome: 'committed', rows: 100 } });
  const { rows } = await lab.warehouse.query('SELECT id FROM bronze.br_made WHERE id < 0');
  expect(rows).toEqual([{ id: -2 }]);
  await administer(admin, [`DROP DATABASE ${copy}`, `DROP DATABASE ${template}`]);
});

test('a procedure that commits has reported nothing before it ends', { tags: 'long' }, async () => {
  await using calm = await Lab.open();
  // idle for less than ten seconds, it would be waited for longer than the call
  await calm.source.end();
  const [writer, reader] = [await calm.connect('source'), await calm.connect('source', 'extractor')];
  await reader.query(`SET application_name = 'datakit-postgres-extractor'`);
  await writer.query(`CREATE TABLE other (id int); CREATE TABLE called (id int, part int) PARTITION BY LIST (part);
    CREATE TABLE called_1 PARTITION OF called FOR VALUES IN (1); CREATE TABLE called_2 PARTITION OF called FOR VALUES IN (2);
    INSERT INTO called SELECT i, 1 + i % 2 FROM generate_series(1, 100) i`);
  await writer.query(`CREATE PROCEDURE negate() LANGUAGE plpgsql AS $$ BEGIN
    UPDATE called SET id = -id WHERE part = 2; COMMIT;
    FOR i IN 1..40 LOOP INSERT INTO other VALUES (i); COMMIT; PERFORM pg_sleep(0.1); END LOOP; END $$`);
  await writer.query(`SELECT pg_stat_force_next_flush()`);
  await calm.extract({ ...request, table: 'called' });
  const call = writer.query('CALL negate()');
  await waitUntil(async () => (await reader.query('SELECT FROM other LIMIT 1')).rowCount === 1);
  const result = await calm.extract({ ...request, table: 'called' });
  await call;
  expect(result).toMatchObject({ partitions: 1, skippedPartitions: { unchanged: 1 }, warnings: [] });
  await expectSameRows({ source: writer, warehouse: calm.warehouse }, 'called', 'bronze.br_called');
});

test('what a session has changed is not known where it does not show what it does', async () => {
  const hidden = await lab.connect('source');
  await change(
    `CREATE TABLE hidden (id int, part int) PARTITION BY LIST (part);
    CREATE TABLE hidden_1 PARTITION OF hidden DEFAULT; INSERT INTO hidden VALUES (1, 1)`,
  );
  await hidden.query(`SET track_activities = off`);
  await lab.extract({ ...request, table: 'hidden' });
  await hidden.query(`INSERT INTO other VALUES (2)`);
  await hidden.query(`UPDATE hidden SET id = 2`);
  await hidden.query(`BEGIN`);
  const { warnings } = await lab.extract({ ...request, table: 'hidden' });
  expect(warnings.join()).toMatch(/process \d+ .*may not be counted yet: it works without track_activities/);
  await expectSameRows(lab, 'hidden', 'bronze.br_hidden');
  await hidden.end();
});

describe('counters of a server', { tags: 'long' }, () => {
  let server: PostgresServer;
  let own: Lab;
  beforeAll(async () => {
    server = await startTestServer();
    await createExtractor(server);
    const source = server.url('postgres');
    own = await Lab.open({ servers: { source, warehouse: inject('warehouseAdmin') } });
    await write(`CREATE TABLE kept (id int, part int) PARTITION BY LIST (part);
      CREATE TABLE kept_1 PARTITION OF kept DEFAULT; INSERT INTO kept VALUES (1, 1), (2, 1), (3, 1)`);
    await own.extract(request);
  });
  afterAll(async () => {
    await own.close();
    await server.dispose();
  });

  const write = async (statement: string, to = server): Promise<void> =>
    administer(withDatabase(to.url('postgres'), `source_${own.name}`), [statement]);

  test('that a crash has set back prove nothing', async () => {
    await server.stop('immediate');
    await server.start();
    // as many as had been counted, in the same block
    await write(`INSERT INTO kept VALUES (4, 1), (5, 1), (6, 1)`);
    expect(await own.extract(request)).toMatchObject({ rows: 6, skippedPartitions: { unchanged: 0 } });
  });

  test('that was a standby for a while do not count what was changed meanwhile', async () => {
    const other = await startTestServer({ standbyOf: server });
    await own.extract(request);
    expect(await own.extract(request)).toMatchObject({ outcome: 'unchanged' });
    await server.stop('fast');
    await write('SELECT pg_promote()', other);
    await write('INSERT INTO kept VALUES (7, 1)', other);

    const { port, password } = new URL(other.url('postgres'));
    const connection = `host=127.0.0.1 port=${port} user=postgres password=${password}`;
    await appendFile(join(server.dataDirectory, 'postgresql.conf'), `primary_conninfo = '${connection}'\n`);
    await writeFile(join(server.dataDirectory, 'standby.signal'), '');
    await server.start();
    await followed(other);
    await other.stop('fast');
    await write('SELECT pg_promote()');
    expect(await own.extract(request)).toMatchObject({ rows: 7, skippedPartitions: { unchanged: 0 } });
    await other.dispose();

    expect(await own.extract(request)).toMatchObject({ outcome: 'unchanged' });
    await write('REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC');
    const untold = await own.extract(request);
    expect(untold).toMatchObject({ rows: 7, skippedPartitions: { unchanged: 0 } });
    expect(untold.warnings).toEqual([
      expect.stringMatching(/read all partitions, since the source does not say/),
    ]);
  });
});

/** Waits until a standby receives all that a server writes. */
async function followed(server: PostgresServer): Promise<void> {
  const client = new Client(server.url('postgres'));
  await client.connect();
  await waitUntil(async () => {
    const { rowCount } = await client.query(`SELECT FROM pg_stat_replication WHERE state = 'streaming'`);
    return rowCount === 1;
  });
  await client.end();
}
