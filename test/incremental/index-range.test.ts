import { Client } from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import type { ExtractionPlan } from '../../src/bronze/plan.ts';
import { rangesOfChunk } from '../../src/extraction/plan/chunk-ranges.ts';
import { selectChunk } from '../../src/extraction/copy/copy-statements.ts';
import { Lab } from '../setup/lab.ts';
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
