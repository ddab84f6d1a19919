import { Client } from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { ExtractionPlan } from '../../src/bronze/plan.ts';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { rangesOfChunk } from '../../src/extraction/plan/chunk-ranges.ts';
import { selectChunk } from '../../src/extraction/copy/copy-statements.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

/** Returns the server's query plan for the single chunk of an increment. */
async function explained(table: string, column: string): Promise<string> {
  await using steps = new Steps(lab);
  const { planId, chunks } = await steps.plan({ table, incremental: { column, lookback: 0 } });
  expect(chunks).toBe(1);
  const { rows } = await lab.warehouse.query<{ plan: ExtractionPlan }>(
    'SELECT plan FROM bronze.extraction_plans WHERE plan_id = $1',
    [planId],
  );
  const plan = rows[0]?.plan;
  const [range] = plan === undefined ? [] : rangesOfChunk(plan, 0);
  if (plan === undefined || range === undefined) throw new Error('there is no plan');
  const { rows: lines } = await lab.source.query<{ 'QUERY PLAN': string }>(
    `EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ${selectChunk(plan, range)}`,
  );
  await steps.discard();
  return lines.map((line) => line['QUERY PLAN']).join('\n');
}

testVariants([
  ['timestamptz', `timestamptz '2024-01-01' + i * interval '1 second'`],
  ['timestamp', `timestamp '2024-01-01' + i * interval '1 second'`],
  ['date', `date '0001-01-01' + i`],
  ['int', 'i'],
  ['bigint', 'i'],
  ['numeric', 'i / 10.0'],
  ['text COLLATE "C"', `lpad(i::text, 20, '0')`],
  ['text COLLATE pg_c_utf8', `lpad(i::text, 20, '0')`],
  ['uuid', `lpad(to_hex(i), 32, '0')::uuid`],
])(
  'an increment by a cursor of type %s reads the range of the index, and nothing else',
  async ([type, value]) => {
    const table = `t_${type.toLowerCase().replaceAll(/\W/g, '')}`;
    await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, c ${type} NOT NULL, filler text);
    CREATE INDEX ${table}_by_cursor ON ${table} (c);
    INSERT INTO ${table} SELECT i, ${value}, repeat('x', 100) FROM generate_series(1, 20000) i; ANALYZE ${table}`);
    await lab.extract({ table, incremental: { column: 'c', lookback: 0 } });
    await lab.source.query(
      `INSERT INTO ${table} SELECT i, ${value}, 'new' FROM generate_series(20001, 20200) i`,
    );
    const plan = await explained(table, 'c');
    expect(plan).toContain(`Index Scan using ${table}_by_cursor`);
    expect(Number(/actual rows=([\d.]+)/.exec(plan)?.[1])).toBeLessThanOrEqual(210);
    expect(plan).not.toMatch(/Seq Scan|Filter/);
  },
);

test(
  'what an increment reads of many large partitions is estimated for all of them at once',
  { tags: 'long' },
  async () => {
    await lab.source
      .query(`CREATE TABLE months (id int NOT NULL, c timestamptz NOT NULL, filler text) PARTITION BY RANGE (c);
    CREATE INDEX ON months (c)`);
    const months = Array.from({ length: 30 }, (_, index) => index);
    await lab.source.query(
      months
        .map(
          (month) => `CREATE TABLE months_${month} PARTITION OF months FOR VALUES
          FROM ('2020-01-01'::timestamptz + interval '${month} months') TO ('2020-01-01'::timestamptz + interval '${month + 1} months');
        INSERT INTO months SELECT i, '2020-01-01'::timestamptz + interval '${month} months', repeat('x', 100) FROM generate_series(1, 300) i`,
        )
        .join(';'),
    );
    await lab.source.query('ANALYZE months');
    const request = { table: 'months', chunkSize: '16kB', incremental: { column: 'c' } } as const;
    await lab.extract(request);
    await lab.source.query(`INSERT INTO months SELECT 301, max(c), 'new' FROM months`);
    const asked = vi.spyOn(Client.prototype, 'query');
    await using steps = new Steps(lab);
    const { chunks, partitionCount } = await steps.plan(request);
    const statements = asked.mock.contexts.filter(
      (client) => client instanceof Client && client.user === 'extractor',
    ).length;
    asked.mockRestore();
    // all of the last one is read, in three
    expect({ chunks, partitionCount }).toEqual({ chunks: 32, partitionCount: 30 });
    expect(statements).toBeLessThan(30);
    await steps.discard();
  },
);

/** Plans a run and returns the partitions of which it reads nothing. */
async function notRead(steps: Steps, request: ExtractTableRequest): Promise<string[]> {
  const { planId } = await steps.plan(request);
  const { rows } = await lab.warehouse.query<{ name: string }>(
    `SELECT p ->> 'name' AS name FROM bronze.extraction_plans, jsonb_array_elements(plan -> 'partitions') p
      WHERE plan_id = $1 AND p ->> 'filter' = 'false' ORDER BY 1`,
    [planId],
  );
  return rows.map(({ name }) => name);
}

test('partitions whose bounds lie outside of an increment are not read, without any index', async () => {
  await lab.source
    .query(`CREATE TABLE events (id int NOT NULL, at timestamptz NOT NULL, filler text) PARTITION BY RANGE (at);
    CREATE TABLE events_01 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
    CREATE TABLE events_02 PARTITION OF events FOR VALUES FROM ('2024-02-01') TO ('2024-03-01') PARTITION BY LIST (id);
    CREATE TABLE events_02_most PARTITION OF events_02 DEFAULT; CREATE TABLE events_02_few PARTITION OF events_02 FOR VALUES IN (1, 2);
    CREATE TABLE events_03 PARTITION OF events FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
    CREATE TABLE events_others PARTITION OF events DEFAULT;
    INSERT INTO events SELECT i, day::date, repeat('x', 100) FROM generate_series(1, 300) i, unnest('{2023-05-01,2024-01-07,2024-02-07,2024-03-01}'::text[]) day`);
  const request = {
    table: 'events',
    write: 'merge' as const,
    key: ['id', 'at'],
    chunkSize: '16kB',
    incremental: { column: 'at', lookback: 0 },
  };
  await lab.extract(request);
  await lab.source.query(
    `INSERT INTO events VALUES (301, '2024-03-01', 'equal'), (302, '2025-01-01', 'other'), (303, '2024-03-31', 'new')`,
  );
  await using steps = new Steps(lab);
  expect(await notRead(steps, request)).toEqual(['events_01', 'events_02_few', 'events_02_most']);
  const aDayBack = { ...request, incremental: { column: 'at', lookback: '1 day' } };
  expect(await notRead(steps, aDayBack)).toEqual(['events_01']);
  const outdated = await steps.plan(request);
  await lab.source.query(
    `ALTER TABLE events DETACH PARTITION events_01; ALTER TABLE events ATTACH PARTITION events_01 FOR VALUES FROM ('2024-01-02') TO ('2024-02-01')`,
  );
  await expect(steps.copy(outdated, 0)).rejects.toThrow('changed after they were planned');
  await steps.discard();
  expect((await lab.extract(request)).incremental).toMatchObject({ added: 3, unchanged: 300 });
  await lab.source.query(`DELETE FROM events WHERE id = 7`);
  const { incremental } = await lab.extract({ ...request, detectDeletes: true });
  expect(incremental).toMatchObject({ deleted: 4 });
  await expectSameRows(lab, 'events', 'bronze.br_events', { targetWhere: '_bronze_deleted_at IS NULL' });
});

testVariants([
  ['int', '10', '20', '15'],
  ['smallint', '-10', '-2', '-9'],
  ['bigint', '-9000000000', '9000000000', '0'],
  ['numeric(6,2)', '9.99', '10.01', '10'],
  ['date', '0044-03-15 BC', '2024-01-01', '1999-12-31'],
  ['timestamp', '-infinity', '2024-01-01 00:00:00.000001', '2024-01-01'],
  [
    'uuid',
    '0fffffff-0000-0000-0000-000000000000',
    'a0000000-0000-0000-0000-000000000000',
    '90000000-0000-0000-0000-000000000000',
  ],
])('the bounds of a key of type %s are compared as its values are', async ([type, low, high, newest]) => {
  const table = `b_${type.replaceAll(/\W/g, '')}`;
  await lab.source.query(`CREATE TABLE ${table} (c ${type} NOT NULL) PARTITION BY RANGE (c);
    CREATE TABLE ${table}_below PARTITION OF ${table} FOR VALUES FROM (MINVALUE) TO ('${low}');
    CREATE TABLE ${table}_between PARTITION OF ${table} FOR VALUES FROM ('${low}') TO ('${high}');
    CREATE TABLE ${table}_above PARTITION OF ${table} FOR VALUES FROM ('${high}') TO (MAXVALUE); INSERT INTO ${table} VALUES ('${newest}')`);
  const request = { table, incremental: { column: 'c', lookback: 0 } };
  await lab.extract(request);
  await using steps = new Steps(lab);
  expect(await notRead(steps, request)).toEqual([`${table}_below`]);
  await steps.discard();
  await lab.source.query(`INSERT INTO ${table} VALUES ('${high}')`);
  expect((await lab.extract(request)).incremental).toMatchObject({ added: 1, unchanged: 1 });
});
