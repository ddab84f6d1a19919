// @module-tag long
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build } from '../../bench/build.ts';
import { peakMemory } from '../../bench/process-times.ts';
import { startWorkerProcess } from '../../local/worker-process.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { Lab } from '../setup/lab.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query('CREATE TABLE documents (id int, "oid" oid, title text)');
});
afterAll(async () => lab.close());

test('an object of 300 MB and a row of as much pass a worker that stays small', async () => {
  const size = 300 * 1024 * 1024;
  const { rows } = await lab.source.query<{ oid: number }>(
    `SELECT lo_from_bytea(0, decode(repeat('c0ffee', ${size / 3}), 'hex')) AS oid`,
  );
  const oid = rows[0]?.oid ?? 0;
  await lab.source
    .query(`GRANT SELECT ON LARGE OBJECT ${oid} TO extractor; INSERT INTO documents VALUES (1, ${oid}, 'large');
    CREATE TABLE heavy AS SELECT 1 AS id, repeat('row ', ${size / 4}) AS text, decode(repeat('ab', ${size}), 'hex') AS bytes`);
  await build();
  const worker = await startWorkerProcess({
    entry: 'dist/worker.js',
    env: { ...lab.workerEnvironment, DATAKIT_TASK_QUEUE: `small-${lab.name}` },
  });
  try {
    const requests = [{ table: 'documents', largeObjects: ['oid'] }, { table: 'heavy' }];
    for (const request of requests) {
      await lab.temporal.workflow.execute('extractTable', {
        taskQueue: `small-${lab.name}`,
        workflowId: `small-${lab.name}-${request.table}`,
        args: [request],
      });
    }
    const peak = await peakMemory(worker.pid);
    process.stdout.write(`peak memory of the worker: ${Math.round(peak / 1024 / 1024)} MB\n`);
    expect(peak).toBeLessThan(300 * 1024 * 1024);
  } finally {
    await worker.stop();
  }
  const landed = await lab.warehouse.query(
    `SELECT md5(string_agg(data, '' ORDER BY part)) AS digest, count(*)::int AS parts FROM bronze.br_documents__lo`,
  );
  const sent = await lab.source.query<{ digest: string }>('SELECT md5(lo_get($1)) AS digest', [oid]);
  expect(landed.rows).toEqual([{ digest: sent.rows[0]?.digest, parts: 5 }]);
  const { rows: heavy } = await lab.warehouse.query(
    'SELECT octet_length(text) AS text, octet_length(bytes) AS bytes FROM bronze.br_heavy',
  );
  expect(heavy).toEqual([{ text: size, bytes: size }]);
});

test('a field of hundreds of megabytes arrives, and a row beyond what a COPY can carry is refused with the reason', async () => {
  await lab.source
    .query(`CREATE TABLE huge_field AS SELECT 1 AS id, repeat('0123456789abcdef', 40 * 1024 * 1024) AS text;
    CREATE TABLE huge_row AS SELECT 1 AS id, text AS one, text AS two FROM huge_field;
    CREATE TABLE huge_bytes AS SELECT convert_to(text, 'UTF8') AS bytes, NULL::tsquery AS only_text FROM huge_field`);
  expect(await lab.extract({ table: 'huge_field' })).toMatchObject({
    rows: 1,
    bytes: expect.closeTo(671_088_640, -3) as number,
  });
  const { rows } = await lab.warehouse.query(
    `SELECT octet_length(text) AS bytes, md5(text) = $1 AS same FROM bronze.br_huge_field`,
    [
      (await lab.source.query<{ digest: string }>('SELECT md5(text) AS digest FROM huge_field')).rows[0]
        ?.digest,
    ],
  );
  expect(rows).toEqual([{ bytes: 671_088_640, same: true }]);
  for (const table of ['huge_row', 'huge_bytes'])
    await expectFailure(lab.extract({ table }), 'UnsupportedTable', 'a row is larger than the 1 GB');
});
