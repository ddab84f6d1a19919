import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { VERSION } from '../../src/contract/version.ts';
import { Lab } from '../setup/lab.ts';

const text = await readFile(join(PROJECT_ROOT, 'docs/manifest.md'), 'utf8');
const queries = [...text.matchAll(/([^\n]+:)\n\n```sql\n([^]*?)```|```sql\n([^]*?)```/g)].map(
  ([, question = 'and', first, second]) => ({ question, sql: first ?? second ?? '' }),
);

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source
    .query(`CREATE TABLE orders AS SELECT i AS id, 'note ' || i AS note FROM generate_series(1, 10) i;
    CREATE TABLE "Odd: ""name""" AS SELECT 1 AS id;
    CREATE TABLE events (id int PRIMARY KEY, at timestamptz NOT NULL);
    INSERT INTO events VALUES (1, now())`);
  const orders = { table: 'orders', incremental: { column: 'id' }, write: 'merge' as const, key: ['id'] };
  await lab.extract(orders);
  await lab.source.query(`ALTER TABLE orders ADD total int; INSERT INTO orders VALUES (11, 'new', 5)`);
  await lab.extract(orders);
  await lab.extractDatabase({ tables: ['events', '"Odd: ""name"""', 'missing'] });
  await lab.extractDatabase({ tables: ['events', 'missing'] });
});
afterAll(async () => lab.close());

async function answers(sql: string): Promise<Record<string, unknown>[]> {
  return (await lab.warehouse.query<Record<string, unknown>>(sql)).rows;
}

interface DbtTable {
  readonly name: string;
  readonly config: {
    readonly loaded_at_query: string;
    readonly freshness: { warn_after: { count: number } };
  };
}

describe('the manifest answers', () => {
  test.each(queries)('$question', async ({ sql }) => {
    expect(await answers(sql)).toBeInstanceOf(Array);
  });

  test('more than ten questions, and says what is in bronze by value', async () => {
    expect(queries.length).toBeGreaterThanOrEqual(10);
    const inBronze = await answers(queries[0]?.sql ?? '');
    expect(inBronze).toMatchObject([
      { target: 'br_Odd: "name"', rows: '1', verify: 'rows' },
      { target: 'br_events', rows: '1' },
      { target: 'br_orders', extraction_type: 'incremental', worker_version: VERSION },
    ]);
    for (const row of inBronze) {
      expect(row['snapshot_lsn']).toMatch(/^[0-9A-F]+\/[0-9A-F]+$/);
      expect(row['snapshot_at']).toBeInstanceOf(Date);
    }
    const ages = await answers(queries[1]?.sql ?? '');
    expect(ages.map(({ target }) => target)).toEqual(['br_orders', 'br_Odd: "name"', 'br_events']);
    expect(await answers(queries[2]?.sql ?? '')).toEqual([]);
    expect((await answers(queries[3]?.sql ?? '')).map(({ name }) => name)).toEqual(['id', 'note', 'total']);
    expect(await answers(queries[4]?.sql ?? '')).toMatchObject([{ change: 'added', column: 'total' }]);
    const paces = await answers(queries[5]?.sql ?? '');
    expect(Object.fromEntries(paces.map(({ target, runs }) => [target, runs]))).toEqual({
      br_orders: '2',
      br_events: '2',
      'br_Odd: "name"': '1',
    });
    expect(await answers(queries[6]?.sql ?? '')).toMatchObject([
      { target: 'br_orders', checkpoint_value: '11' },
    ]);
    expect(await answers(queries[7]?.sql ?? '')).toMatchObject([
      { status: 'partial', tables: 2, committed: 1, failed: 1 },
      { status: 'partial', tables: 3, committed: 2, failed: 1 },
    ]);
    expect(await answers(queries[8]?.sql ?? '')).toMatchObject([
      { source_table: 'missing', status: 'failed' },
    ]);
  });

  test('with a sources file for dbt', async () => {
    const sql = await readFile(join(PROJECT_ROOT, 'sql/dbt-sources.sql'), 'utf8');
    const lines = (await answers(sql)).map(({ text: line }) => String(line));
    const { sources } = parse(lines.join('\n')) as { sources: { schema: string; tables: DbtTable[] }[] };
    expect(sources[0]?.schema).toBe('bronze');
    expect(sources[0]?.tables.map(({ name }) => name)).toEqual(['br_Odd: "name"', 'br_events', 'br_orders']);
    // the first was extracted once, the others twice within a minute
    const config = sources[0]?.tables.map((table) => table.config) ?? [];
    expect(config.map(({ freshness }) => freshness.warn_after.count)).toEqual([1440, 2, 2]);
    const shown = await answers(queries[0]?.sql ?? '');
    for (const [index, { loaded_at_query: query }] of config.entries())
      expect(await answers(query)).toEqual([{ snapshot_at: shown[index]?.['snapshot_at'] }]);
  });

  test('how old a table is that a capture keeps up to date: as its position', async () => {
    await lab.warehouse.query(`WITH capture AS (
        INSERT INTO bronze.cdc_positions (source, slot, publication, own_publication, system_id, timeline, status, run_id,
          workflow_id, updated_at)
        VALUES ('default', 's', 'p', true, '1', 1, 'streaming', 'r', 'w', now() - interval '400 days') RETURNING capture_id)
      INSERT INTO bronze.cdc_tables (capture_id, schema, "table", target, status, mirrored)
      SELECT capture_id, 'public', 'events', 'br_events', 'live', true FROM capture`);
    const [oldest] = await answers(queries[1]?.sql ?? '');
    expect(oldest).toMatchObject({ target: 'br_events', age: { days: 400 } });
    expect(await answers(queries[2]?.sql ?? '')).toMatchObject([{ target: 'br_events' }]);
    const sql = await readFile(join(PROJECT_ROOT, 'sql/dbt-sources.sql'), 'utf8');
    const lines = (await answers(sql)).map(({ text: line }) => String(line));
    const { sources } = parse(lines.join('\n')) as { sources: { tables: DbtTable[] }[] };
    const { config } = sources[0]?.tables.find(({ name }) => name === 'br_events') ?? {};
    expect(config?.freshness.warn_after.count).toBe(60);
    const [position] = await answers('SELECT updated_at FROM bronze.cdc_positions');
    expect(await answers(config?.loaded_at_query ?? '')).toEqual([position]);
  });
});

test('the version in the manifest is that of the package', async () => {
  const { version } = JSON.parse(await readFile(join(PROJECT_ROOT, 'package.json'), 'utf8')) as {
    version: string;
  };
  expect(VERSION).toBe(version);
});
