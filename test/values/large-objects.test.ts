import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { TcpProxy } from '../setup/tcp-proxy.ts';
import { trap } from '../setup/trap.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { expectRefused } from './expect-refused.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query('CREATE EXTENSION lo; CREATE TABLE documents (id int, "oid" lo, title text)');
  // fits the calls that read parts of an object better than PostgreSQL's own, and must not be used
  await lab.source.query(trap('public.lo_get(oid, int, int)', 'bytea'));
});
afterAll(async () => lab.close());

/** Creates an object with varying bytes, references it in a row, and lets the worker's role read it. */
async function addDocument(id: number, bytes: number): Promise<number> {
  const { rows } = await lab.source.query<{ oid: number }>(`SELECT lo_from_bytea(0, ''::bytea) AS oid`);
  const oid = rows[0]?.oid ?? 0;
  const piece = 1_000_000;
  for (let offset = 0; offset < bytes; offset += piece) {
    await lab.source.query(
      `SELECT lo_put($1::oid, $2::bigint, decode(left(string_agg(md5($2::bigint::text || i), ''), $3::int * 2), 'hex'))
         FROM generate_series(0, $3::int / 16) i`,
      [oid, offset, Math.min(piece, bytes - offset)],
    );
  }
  await lab.source.query(`GRANT SELECT ON LARGE OBJECT ${oid} TO extractor`);
  await lab.source.query(`INSERT INTO documents VALUES ($1, $2, 'document')`, [id, oid]);
  return oid;
}

interface Document {
  readonly id: number;
  readonly content: string | null;
  readonly parts: string | null;
  readonly count: number;
}

/** Returns digests of the content in bronze, by row: of the column, and of the joined parts in the companion. */
async function inBronze(): Promise<Document[]> {
  const { rows } = await lab.warehouse.query<Document>(
    `SELECT d.id, md5(d.oid_content) AS content,
            (SELECT md5(string_agg(l.data, '' ORDER BY l.part)) FROM bronze.br_documents__lo l WHERE l.oid = d."oid") AS parts,
            (SELECT count(*)::int FROM bronze.br_documents__lo l WHERE l.oid = d."oid") AS count
       FROM bronze.br_documents d ORDER BY d.id`,
  );
  return rows;
}

async function digestOf(oid: number): Promise<string> {
  const { rows } = await lab.source.query<{ digest: string }>('SELECT md5(lo_get($1)) AS digest', [oid]);
  return rows[0]?.digest ?? '';
}

test('contents land beside the OIDs, larger ones in parts, missing ones as NULL and counted', async () => {
  const empty = await addDocument(1, 0);
  const small = await addDocument(2, 1000);
  const exact = await addDocument(3, 1024);
  const larger = await addDocument(4, 1025);
  const many = await addDocument(5, 10_500);
  await lab.source.query(
    `INSERT INTO documents VALUES (6, NULL, 'none'), (7, 4000000000, 'missing'), (8, $1::oid, 'twice')`,
    [many],
  );
  const request = {
    table: 'documents',
    largeObjects: ['oid'],
    largeObjectPartSize: '1kB',
    verify: 'checksum' as const,
  };
  const { rows, warnings } = await lab.extract(request);
  expect(rows).toBe(8);
  expect(warnings).toEqual(['OIDs that name no large object in the source: 1. Their content is NULL.']);
  const none = { content: null, parts: null, count: 0 };
  expect(await inBronze()).toEqual([
    { id: 1, content: await digestOf(empty), parts: null, count: 0 },
    { id: 2, content: await digestOf(small), parts: null, count: 0 },
    { id: 3, content: await digestOf(exact), parts: null, count: 0 },
    { id: 4, content: null, parts: await digestOf(larger), count: 2 },
    { id: 5, content: null, parts: await digestOf(many), count: 11 },
    { id: 6, ...none },
    { id: 7, ...none },
    { id: 8, content: null, parts: await digestOf(many), count: 11 },
  ]);
  await expectSameRows(lab, 'documents', 'bronze.br_documents');
  expect(await lab.leftoversAtLast()).toEqual([]);
});

test('the companion changes with its table, and a view on it stays', async () => {
  await lab.warehouse.query(
    'CREATE VIEW sizes AS SELECT oid, sum(octet_length(data))::int AS size FROM bronze.br_documents__lo GROUP BY oid',
  );
  await lab.source.query('DELETE FROM documents WHERE id <> 2');
  const added = await addDocument(9, 3000);
  await lab.extract({ table: 'documents', largeObjects: ['oid'], largeObjectPartSize: '1kB' });
  const { rows } = await lab.warehouse.query('SELECT * FROM sizes');
  expect(rows).toEqual([{ oid: added, size: 3000 }]);
  const runs = await lab.warehouse.query(`SELECT DISTINCT _bronze_run_id FROM bronze.br_documents
    UNION SELECT DISTINCT _bronze_run_id FROM bronze.br_documents__lo`);
  expect(runs.rows).toHaveLength(1);
});

test('an object that rows of several chunks name lands once, and a chunk that is tried again copies none twice', async () => {
  await lab.source.query(`CREATE TABLE sharing (id int, object oid, filler text)`);
  const shared = await addDocument(10, 5000);
  await lab.source.query(
    `INSERT INTO sharing SELECT i, ${shared}, repeat('x', 500) FROM generate_series(1, 100) i`,
  );
  await using steps = new Steps(lab);
  const plan = await steps.plan({ table: 'sharing', largeObjects: ['object'], largeObjectPartSize: '1kB' });
  expect(plan.chunks).toBeGreaterThan(4);
  await Promise.all(Array.from({ length: plan.chunks }, async (_, chunk) => steps.copy(plan, chunk)));
  await steps.copy(plan, 0, plan.chunks);
  await steps.commit(plan);
  const { rows } = await lab.warehouse.query(
    'SELECT count(*)::int AS parts, count(DISTINCT part)::int AS different FROM bronze.br_sharing__lo',
  );
  expect(rows).toEqual([{ parts: 5, different: 5 }]);
});

test('a chunk that waits for another one to copy their object has not stalled', async () => {
  await lab.source.query(`CREATE TABLE awaiting (id int, object oid, filler text)`);
  const shared = await addDocument(11, 400_000);
  await lab.source.query(
    `INSERT INTO awaiting SELECT i, ${shared}, repeat('x', 500) FROM generate_series(1, 30) i`,
  );
  await using network = await TcpProxy.start({
    host: '127.0.0.1',
    port: Number(new URL(lab.sourceUrl).port),
  });
  await using slow = new Steps(lab, { source: network.through(lab.sourceUrl) });
  await using steps = new Steps(lab);
  const request = { table: 'awaiting', largeObjects: ['object'], largeObjectPartSize: '1kB' };
  const plan = await steps.plan({ ...request, stallTimeout: '1 second' });
  network.throttle(250_000);
  const first = slow.copy(plan, 0);
  await waitUntil(async () => {
    const copying = `SELECT FROM pg_stat_progress_copy WHERE relid::regclass::text = 'bronze_staging.plan_${plan.planId}_lo'`;
    return (await lab.warehouse.query(copying)).rowCount === 1;
  });
  await Promise.all([first, steps.copy(plan, 1, plan.chunks - 1)]);
  await steps.commit(plan);
  const { rows } = await lab.warehouse.query('SELECT count(*)::int AS parts FROM bronze.br_awaiting__lo');
  expect(rows).toEqual([{ parts: 391 }]);
});

test('parts are looked for once for all objects of a chunk', { tags: 'long' }, async () => {
  await lab.source.query(`CREATE TABLE several (id int, object oid)`);
  for (let id = 20; id < 40; id += 1) {
    await lab.source.query(`INSERT INTO several VALUES (${id}, ${await addDocument(id, 2000)})`);
  }
  await using steps = new Steps(lab);
  const request = { table: 'several', largeObjects: ['object'], largeObjectPartSize: '1kB' };
  const { planId } = await steps.load(request);
  let scans = 0;
  // the server counts what a session did some seconds after it has become idle
  await waitUntil(async () => {
    const { rows } = await lab.warehouse.query<{ scans: number }>(
      `SELECT seq_scan::int AS scans FROM pg_stat_all_tables WHERE relname = 'plan_${planId}_lo'`,
    );
    scans = rows[0]?.scans ?? 0;
    return scans > 0;
  });
  expect(scans).toBeLessThan(10);
  await steps.discard();
});

test('missing objects refuse the run where that is asked for', async () => {
  await lab.source.query(
    'CREATE TABLE broken (id int, object oid); INSERT INTO broken VALUES (1, 4000000001)',
  );
  await expectRefused(
    lab,
    { table: 'broken', largeObjects: ['object'], missingLargeObjects: 'refuse' },
    'MissingLargeObject',
    'OIDs in "object" of public.broken that name no large object: 1',
  );
});

test('an object that the role may not read refuses the run', async () => {
  const { rows } = await lab.source.query<{ oid: number }>(`SELECT lo_from_bytea(0, 'secret') AS oid`);
  await lab.source.query(
    `CREATE TABLE forbidden (id int, object oid); INSERT INTO forbidden VALUES (1, ${rows[0]?.oid})`,
  );
  await expectRefused(
    lab,
    { table: 'forbidden', largeObjects: ['object'] },
    'InsufficientPrivilege',
    'permission denied for large object',
  );
});

test('a companion is not written over the table of another source table', async () => {
  await lab.source.query('CREATE SCHEMA sharing; CREATE TABLE sharing.lo (id int)');
  // both companion tables would be br_sharing__lo
  await expectRefused(
    lab,
    { table: 'sharing.lo' },
    'TargetConflict',
    'bronze.br_sharing__lo is fed by public.sharing',
  );
});
