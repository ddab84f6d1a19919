import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { makePartitions } from './many-partitions.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await makePartitions(lab, 'many', 150, 20);
});
afterAll(async () => lab.close());

test('small partitions share chunks; they land and are verified each, and one by one they are replaced', async () => {
  const result = await lab.extract({ table: 'many', write: 'replace-partitions', verify: 'checksum' });
  expect(result).toMatchObject({ rows: 3_000, partitions: 150, chunks: 3 });
  await expectSameRows(lab, 'many', 'bronze.br_many');
  const { rows } = await lab.warehouse.query(
    `SELECT count(*) FROM bronze.br_many WHERE _bronze_partition = 'many_' || lpad(n::text, 5, '0')`,
  );
  expect(rows).toEqual([{ count: '3000' }]);
  await lab.source.query(`UPDATE many SET v = 'other' WHERE n % 2 = 0`);
  await lab.extract({ table: 'many', write: 'replace-partitions', partitions: { patterns: ['many_0014?'] } });
  await expectSameRows(lab, 'many', 'bronze.br_many', { where: 'n >= 140', targetWhere: 'n >= 140' });
  expect(await lab.leftoversAtLast()).toEqual([]);
});

describe('the keys of small partitions', () => {
  const request: ExtractTableRequest = {
    table: 'many',
    target: 'br_kept',
    write: 'merge',
    key: ['n', 'id'],
    incremental: { column: 'n' },
    detectDeletes: true,
    currentView: true,
  };

  test('are copied together, by one transaction for many chunks', async () => {
    await lab.extract(request);
    await lab.source.query('DELETE FROM many WHERE id = 7 AND n % 3 = 0');
    const { runId, ...result } = await lab.extract(request);
    expect(result).toMatchObject({ chunks: 153, incremental: { deleted: 50 } });
    const { rows } = await lab.warehouse.query<{ transactions: number; chunks: number; rows: number }>(
      `SELECT count(DISTINCT c.xmin::text)::int AS transactions, count(*)::int AS chunks, sum(c.rows) FILTER (WHERE chunk >= 3)::int AS rows
         FROM bronze.extraction_chunks c JOIN bronze.extraction_runs USING (plan_id) WHERE run_id = $1`,
      [runId],
    );
    expect(rows).toEqual([{ transactions: expect.any(Number), chunks: 153, rows: 2_950 }]);
    expect(rows[0]?.transactions).toBeLessThan(50);
    await expectSameRows(lab, 'many', 'bronze.br_kept_current');
  });

  test(
    'are there once, although a worker of an earlier version copied some of them one by one',
    { tags: 'long' },
    async () => {
      await lab.extract(request);
      await lab.source.query('DELETE FROM many WHERE id = 8 AND n % 3 = 0');
      await using run = new Steps(lab);
      const plan = await run.plan(request);
      await run.copy(plan, 0, 3);
      for (const chunk of [3, 4, 40, 152]) await run.copy(plan, chunk);
      await run.copy(plan, 5, 148);
      expect(await run.commit(plan)).toMatchObject({ incremental: { deleted: 50 } });
      await expectSameRows(lab, 'many', 'bronze.br_kept_current');
      expect(await lab.leftoversAtLast()).toEqual([]);
    },
  );
});
