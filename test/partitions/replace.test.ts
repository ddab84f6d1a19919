import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
let number = 0;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

/** Creates a table of three partitions with 500 rows each; returns its name and that of the bronze table. */
async function sales(): Promise<{ table: string; bronze: string }> {
  number += 1;
  const table = `sales${number}`;
  await lab.source.query(`CREATE TABLE ${table} (id int, part int, v text) PARTITION BY LIST (part);
    CREATE TABLE ${table}_1 PARTITION OF ${table} FOR VALUES IN (1);
    CREATE TABLE ${table}_2 PARTITION OF ${table} FOR VALUES IN (2);
    CREATE TABLE ${table}_3 PARTITION OF ${table} FOR VALUES IN (3);
    INSERT INTO ${table} SELECT i, 1 + i % 3, 'first' FROM generate_series(1, 1500) i`);
  return { table, bronze: `bronze.br_${table}` };
}

const replacing = (table: string, ...numbers: number[]): ExtractTableRequest => ({
  table,
  write: 'replace-partitions',
  ...(numbers.length > 0 && { partitions: { names: numbers.map((part) => `${table}_${part}`) } }),
});

/** Returns the runs whose rows are in bronze, by partition. */
async function runsOf(bronze: string): Promise<Record<string, string>> {
  const { rows } = await lab.warehouse.query<{ part: number; run: string }>(
    `SELECT part, string_agg(DISTINCT _bronze_run_id || ' ' || _bronze_loaded_at || ' ' || _bronze_partition, ', ') AS run FROM ${bronze} GROUP BY 1`,
  );
  return Object.fromEntries(rows.map(({ part, run }) => [part, run]));
}

/** Returns the number of full scans and deleted rows of a table, as far as sessions have reported them. */
async function readStatistics(table: string): Promise<{ scans: number; deleted: number }> {
  await lab.warehouse.query('SELECT pg_stat_force_next_flush()');
  const { rows } = await lab.warehouse.query<{ scans: number; deleted: number }>(
    `SELECT seq_scan::int AS scans, n_tup_del::int AS deleted FROM pg_stat_all_tables WHERE relid = $1::regclass`,
    [table],
  );
  return rows[0] ?? { scans: 0, deleted: 0 };
}

describe('replacing partitions', () => {
  test('replaces the rows of those that were read, and leaves those of others as they are', async () => {
    const { table, bronze } = await sales();
    const first = await lab.extract(replacing(table));
    await lab.warehouse.query(`CREATE VIEW shown_${table} AS SELECT id, part, v FROM ${bronze};
      CREATE INDEX my_index_${table} ON ${bronze} (id); GRANT SELECT ON ${bronze} TO loader`);
    await lab.source.query(`CREATE TABLE ${table}_then AS SELECT * FROM ${table}_3;
      UPDATE ${table} SET v = 'second'; DELETE FROM ${table} WHERE id % 10 = 0;
      INSERT INTO ${table} SELECT i, 1 + i % 3, 'new' FROM generate_series(2000, 2100) i`);
    const before = await runsOf(bronze);
    const { rows: tables } = await lab.warehouse.query(`SELECT DISTINCT tableoid FROM ${bronze}`);
    const second = await lab.extract(replacing(table, 1, 2));
    expect(second).toMatchObject({
      outcome: 'committed',
      partitions: 2,
      skippedPartitions: { notAskedFor: 1, unchanged: 0 },
    });
    const after = await runsOf(bronze);
    expect(after[3]).toBe(before[3]);
    expect(after[3]).toContain(first.runId);
    for (const part of ['1', '2']) expect(after[part]).toMatch(new RegExp(`^${second.runId} [^,]*_${part}$`));
    await expectSameRows(lab, table, bronze, { where: 'part < 3', targetWhere: 'part < 3' });
    await expectSameRows(lab, `${table}_then`, `shown_${table}`, { targetWhere: 'part = 3' });
    await expectSameRows(lab, table, `shown_${table}`, { where: 'part < 3', targetWhere: 'part < 3' });
    expect((await lab.warehouse.query(`SELECT DISTINCT tableoid FROM ${bronze}`)).rows).toEqual(tables);
    expect(await lab.leftoversAtLast()).toEqual([]);
    await lab.extract(replacing(table));
    await expectSameRows(lab, table, `shown_${table}`);
  });

  test('keeps the rows of a partition that the source has no more, and adds those of a new one', async () => {
    const { table, bronze } = await sales();
    await lab.extract({ table });
    await lab.source.query(`ALTER TABLE ${table} DETACH PARTITION ${table}_1;
      CREATE TABLE ${table}_4 PARTITION OF ${table} FOR VALUES IN (4);
      INSERT INTO ${table} VALUES (9000, 4, 'fourth')`);
    await lab.extract(replacing(table));
    await expectSameRows(lab, table, bronze, { targetWhere: 'part > 1' });
    await expectSameRows(lab, `${table}_1`, bronze, { targetWhere: 'part = 1' });
    const kept = await runsOf(bronze);
    await lab.source.query(`DROP TABLE ${table}_2, ${table}_3, ${table}_4`);
    expect(await lab.extract(replacing(table))).toMatchObject({ outcome: 'unchanged', partitions: 0 });
    expect(await runsOf(bronze)).toEqual(kept);
  });

  test(
    'finds the rows of a partition without reading those of others that lie among one another',
    { tags: 'long' },
    async () => {
      await lab.source.query(`CREATE TABLE spread (id int, part int) PARTITION BY LIST (part)`);
      for (const part of [1, 2, 3, 4, 5, 6, 7, 8])
        await lab.source.query(`CREATE TABLE spread_${part} PARTITION OF spread FOR VALUES IN (${part})`);
      await lab.source.query(
        `INSERT INTO spread SELECT i, CASE WHEN i > 70000 THEN 4 ELSE (ARRAY[1, 2, 3, 5, 6, 7, 8])[1 + i % 7] END FROM generate_series(1, 80000) i`,
      );
      await lab.extract(replacing('spread'));
      const { rows } = await lab.warehouse.query<{ storage: string }>(
        `SELECT inhrelid::regclass::text AS storage FROM pg_inherits WHERE inhparent = 'bronze.br_spread'::regclass`,
      );
      const { storage = '' } = rows[0] ?? {};
      await lab.warehouse
        .query(`CREATE TEMP TABLE kept AS SELECT * FROM ${storage} ORDER BY id; TRUNCATE ${storage};
      INSERT INTO ${storage} SELECT * FROM kept`);
      // the first builds the index, which reads everything
      await lab.extract(replacing('spread', 4));
      await waitUntil(async () => (await readStatistics(storage)).deleted === 10_000);
      const { scans } = await readStatistics(storage);
      await lab.source.query('DELETE FROM spread WHERE id % 2 = 0 AND part = 4');
      await lab.extract(replacing('spread', 4));
      await waitUntil(async () => (await readStatistics(storage)).deleted === 20_000);
      expect((await readStatistics(storage)).scans).toBe(scans);
      await expectSameRows(lab, 'spread', 'bronze.br_spread');
      await lab.warehouse.query('SET enable_seqscan = off');
      const { rows: plans } = await lab.warehouse.query<{ 'QUERY PLAN': string }>(
        `EXPLAIN (ANALYZE, TIMING off) SELECT FROM ${storage} WHERE _bronze_partition = 'spread_4'`,
      );
      await lab.warehouse.query('RESET enable_seqscan');
      const text = plans.map((line) => line['QUERY PLAN']).join('\n');
      const read = Number(/Heap Blocks: (?:exact=\d+ )?lossy=(\d+)/.exec(text)?.[1]);
      const { rows: sizes } = await lab.warehouse.query<{ blocks: number }>(
        `SELECT (pg_relation_size($1::regclass) / 8192)::int AS blocks`,
        [storage],
      );
      expect(read, text).toBeLessThan((sizes[0]?.blocks ?? 0) / 2);
    },
  );

  test('shows its readers the partitions of one run, waits for none of them and lets none wait', async () => {
    const { table, bronze } = await sales();
    await lab.extract(replacing(table));
    const old = await lab.connect('warehouse');
    await old.query(`BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1`);
    const busy = await lab.connect('warehouse');
    await busy.query(`BEGIN; SELECT FROM ${bronze} LIMIT 1`);
    const done = new AbortController();
    const seen = new Set<string>();
    const watch = async () => {
      const reader = await lab.connect('warehouse');
      while (!done.signal.aborted) {
        const { rows } = await reader.query<{ state: string }>(
          `SELECT string_agg(DISTINCT v, ' and ') || ', ' || count(*) AS state FROM ${bronze} WHERE part < 3`,
        );
        seen.add(rows[0]?.state ?? 'nothing');
      }
    };
    const watching = [watch(), watch()];
    for (const v of ['a', 'b', 'c']) {
      await lab.source.query(`UPDATE ${table} SET v = '${v}'; INSERT INTO ${table} VALUES (0, 1, '${v}')`);
      await lab.extract(replacing(table, 1, 2));
    }
    done.abort();
    await Promise.all(watching);
    expect([...seen].toSorted()).toEqual(['a, 1001', 'b, 1002', 'c, 1003', 'first, 1000']);
    const { rows } = await old.query(
      `SELECT string_agg(DISTINCT v, ' and ') AS v, count(*)::int AS rows FROM ${bronze}`,
    );
    expect(rows).toEqual([{ v: 'first', rows: 1500 }]);
    await Promise.all([old.query('COMMIT'), busy.query('COMMIT')]);
  });

  test('follows columns that come and grow; rows of other partitions are NULL there', async () => {
    const { table, bronze } = await sales();
    await lab.extract(replacing(table));
    await lab.source.query(`ALTER TABLE ${table} ALTER id TYPE bigint, ADD extra text DEFAULT 'x';
      UPDATE ${table} SET id = 5000000000 + id`);
    await lab.extract(replacing(table, 2));
    await expectSameRows(lab, table, bronze, { where: 'part = 2', targetWhere: 'part = 2' });
    const { rows } = await lab.warehouse.query(
      `SELECT DISTINCT pg_typeof(id)::text AS type, extra FROM ${bronze} WHERE part <> 2`,
    );
    expect(rows).toEqual([{ type: 'bigint', extra: null }]);
    await lab.source.query(`ALTER TABLE ${table} ALTER v TYPE int USING 7`);
    await expect(lab.extract(replacing(table, 2))).rejects.toMatchObject({
      cause: { type: 'SchemaChanged' },
    });
  });
});

describe('of two runs that replace partitions', () => {
  test('the later plan keeps what both have read, and the earlier gives the rest', async () => {
    const { table, bronze } = await sales();
    await lab.extract(replacing(table));
    await using earlier = new Steps(lab);
    await using later = new Steps(lab);
    const earlierPlan = await earlier.load(replacing(table, 1, 2));
    await lab.source.query(`UPDATE ${table} SET v = 'later'`);
    await later.commit(await later.load(replacing(table, 2, 3)));
    const committed = await earlier.commit(earlierPlan);
    expect(committed).toMatchObject({ outcome: 'committed' });
    expect(await earlier.commit(earlierPlan)).toEqual(committed);
    const runs = await runsOf(bronze);
    expect([runs[1], runs[2], runs[3]]).toEqual([earlier.runId, later.runId, later.runId].map((run) => expect.stringContaining(run))); // prettier-ignore
    await expectSameRows(lab, table, bronze, { where: 'part > 1', targetWhere: 'part > 1' });
    await using last = new Steps(lab);
    const older = await last.load(replacing(table, 1));
    await lab.extract(replacing(table, 1));
    await expect(last.commit(older)).resolves.toMatchObject({ outcome: 'superseded' });
    await expectSameRows(lab, table, bronze);
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('the one that found nothing and was overtaken begins again', async () => {
    const { table, bronze } = await sales();
    await using first = new Steps(lab);
    const plan = await first.load(replacing(table, 1));
    await lab.extract(replacing(table, 2));
    await expect(first.commit(plan)).rejects.toMatchObject({ type: 'PlanOutdated' });
    await expectSameRows(lab, table, bronze, { where: 'part = 2' });
    await first.commit(await first.load(replacing(table, 1)));
    await expectSameRows(lab, table, bronze, { where: 'part < 3' });
  });

  test('one of the whole table begins again after a later one that replaced a partition', async () => {
    const { table, bronze } = await sales();
    await lab.extract({ table });
    await lab.source.query(`UPDATE ${table} SET v = 'second'`);
    await using whole = new Steps(lab);
    const plan = await whole.load({ table });
    await lab.extract(replacing(table, 1));
    await expect(whole.commit(plan)).rejects.toMatchObject({ type: 'PlanOutdated' });
    await whole.commit(await whole.load({ table }));
    await expectSameRows(lab, table, bronze);
  });

  test('begins again where bronze was dropped after the plan', async () => {
    const { table, bronze } = await sales();
    await lab.extract(replacing(table));
    await using run = new Steps(lab);
    const plan = await run.load(replacing(table, 1));
    await lab.warehouse.query(`DROP TABLE ${bronze}`);
    await expect(run.commit(plan)).rejects.toMatchObject({ type: 'PlanOutdated' });
    await run.discard();
  });

  test('begins again after a run that keeps rows in another way', async () => {
    const { table, bronze } = await sales();
    await lab.extract(replacing(table));
    await using run = new Steps(lab);
    const plan = await run.load(replacing(table, 1));
    await lab.source.query(`UPDATE ${table} SET v = 'second'`);
    await lab.extract({ table, incremental: { column: 'id' } });
    await expect(run.commit(plan)).rejects.toMatchObject({ type: 'PlanOutdated' });
    await expectSameRows(lab, table, bronze);
    await run.discard();
  });
});

test('rows of which it is not known which partition they are of are replaced together, or not at all', async () => {
  const { table, bronze } = await sales();
  await lab.extract({ table, incremental: { column: 'id' } });
  await expect(lab.extract(replacing(table, 1))).rejects.toMatchObject({ cause: { type: 'TargetConflict' } });
  await lab.extract(replacing(table));
  await expectSameRows(lab, table, bronze);
  // the checkpoint was for rows that are gone
  await lab.source.query(`DELETE FROM ${table} WHERE id < 10`);
  await lab.extract(replacing(table, 1));
  const { incremental } = await lab.extract({ table, incremental: { column: 'id' } });
  expect(incremental).toMatchObject({ extraction: 'full' });
  await expectSameRows(lab, table, bronze);
});

test('partitions of a table that had none before are added to an empty bronze table', async () => {
  const table = 'grown';
  await lab.source.query(`CREATE TABLE ${table} (id int, part int) PARTITION BY LIST (part)`);
  await lab.extract({ table });
  await lab.source.query(`CREATE TABLE ${table}_1 PARTITION OF ${table} FOR VALUES IN (1);
    CREATE TABLE ${table}_2 PARTITION OF ${table} FOR VALUES IN (2); INSERT INTO ${table} VALUES (1, 1), (2, 2)`);
  expect(await lab.extract(replacing(table, 1))).toMatchObject({ outcome: 'committed', rows: 1 });
  await expectSameRows(lab, `${table}_1`, `bronze.br_${table}`);
  await lab.extract(replacing(table, 2));
  await expectSameRows(lab, table, `bronze.br_${table}`);
});

test('an increment says of its rows too which partition they came from', async () => {
  const { table, bronze } = await sales();
  await lab.source.query(`ALTER TABLE ${table} ADD PRIMARY KEY (id, part)`);
  const request: ExtractTableRequest = { table, incremental: { column: 'id' }, write: 'merge' };
  await lab.extract(request);
  await lab.source.query(`INSERT INTO ${table} VALUES (7000, 1, 'new'), (7001, 3, 'new')`);
  const { incremental } = await lab.extract(request);
  expect(incremental).toMatchObject({ added: 2, schemaChanges: [] });
  await expectSameRows(lab, table, bronze);
  const { rows } = await lab.warehouse.query(
    `SELECT DISTINCT part::text, _bronze_partition AS name FROM ${bronze} ORDER BY 1`,
  );
  expect(rows).toEqual(['1', '2', '3'].map((part) => ({ part, name: `${table}_${part}` })));
});
