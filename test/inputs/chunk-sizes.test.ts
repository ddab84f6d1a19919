import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { refusal } from './refusal.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE TABLE items (id int PRIMARY KEY, note text);
    INSERT INTO items SELECT i, repeat('x', 500) FROM generate_series(1, 300) i`);
});
afterAll(async () => lab.close());

async function countBlocks(): Promise<number> {
  const { rows } = await lab.source.query<{ blocks: number }>(
    `SELECT (pg_relation_size('items') / 8192)::int AS blocks`,
  );
  return rows[0]?.blocks ?? 0;
}

describe('chunkSize', () => {
  test('of terabytes is one chunk', async () => {
    expect(await lab.extract({ table: 'items', chunkSize: '10TB' })).toMatchObject({ rows: 300, chunks: 1 });
  });

  test('smaller than a block is a block', async () => {
    const blocks = await countBlocks();
    expect(blocks).toBeGreaterThan(10);
    expect(await lab.extract({ table: 'items', chunkSize: '1kB' })).toMatchObject({
      rows: 300,
      chunks: blocks,
    });
    const { rows } = await lab.warehouse.query(
      'SELECT count(*)::int, count(DISTINCT id)::int AS ids FROM bronze.br_items',
    );
    expect(rows).toEqual([{ count: 300, ids: 300 }]);
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('so small that there are very many chunks is warned of, since kB is easily written for MB', async () => {
    await lab.source.query(`CREATE TABLE many (id int PRIMARY KEY, note text) WITH (fillfactor = 10);
      INSERT INTO many SELECT i, repeat('x', 600) FROM generate_series(1, 1000) i`);
    const warning = `"chunkSize" of 1 KB made 1,000 chunks, each with a transaction of its own: from "1MB" on, a copy is much faster.`;
    await using run = new Steps(lab);
    expect(await run.plan({ table: 'many', chunkSize: '1kB' })).toMatchObject({ warnings: [warning] });
    expect(await run.plan({ table: 'many', chunkSize: '1MB' })).toMatchObject({ chunks: 8, warnings: [] });
    expect(await run.plan({ table: 'items', chunkSize: '1kB' })).toMatchObject({ warnings: [] });
    await run.discard();
  });

  test('counts large values, which are stored beside their rows', async () => {
    await lab.source.query(`CREATE TABLE documents (id int PRIMARY KEY, body text);
      ALTER TABLE documents ALTER COLUMN body SET STORAGE EXTERNAL;
      INSERT INTO documents SELECT i, repeat(md5(i::text), 300) FROM generate_series(1, 1000) i`);
    const { rows } = await lab.source.query<{ heap: number; all: number }>(
      `SELECT pg_relation_size('documents')::int AS heap, pg_table_size('documents')::int AS all`,
    );
    const [{ heap, all } = { heap: 0, all: 0 }] = rows;
    expect(all).toBeGreaterThan(50 * heap);
    const { chunks } = await lab.extract({ table: 'documents', chunkSize: '2MB' });
    expect(chunks).toBeGreaterThan(3);
    await expectSameRows(lab, 'documents', 'bronze.br_documents');
  });

  test.each(['0MB', '0.1b', '-1MB', '9999999TB', 'all'])('of %s is refused', async (chunkSize) => {
    const message = await refusal(lab, { table: 'items', chunkSize }, 'InvalidInput');
    expect(message).toContain('chunkSize: expected a size such as "64MB" or "1 GB"');
  });
});
