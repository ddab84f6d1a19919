import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
let table: string;
let bronze: string;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());
beforeEach(async () => {
  ({ table, bronze } = lab.nextTable());
  await lab.source.query(
    `CREATE TABLE ${table} (id int); INSERT INTO ${table} SELECT generate_series(1, 20000)`,
  );
});

async function statuses(): Promise<string[]> {
  const { rows } = await lab.warehouse.query<{ status: string }>(
    `SELECT status FROM bronze.extraction_runs WHERE target = 'br_${table}' OR target = 'shared' ORDER BY plan_id`,
  );
  return rows.map(({ status }) => status);
}

describe('two runs of a table', () => {
  test('at once, the first of it: both end, bronze is as of one of them, nothing is left', async () => {
    const requests = [1, 2, 3].map(async () => lab.extract({ table, chunkSize: '64kB' }));
    const results = await Promise.all(requests);
    expect(results.map(({ rows }) => rows)).toEqual([20_000, 20_000, 20_000]);
    await expectSameRows(lab, table, bronze);
    const { rows } = await lab.warehouse.query<{ run: string }>(
      `SELECT DISTINCT _bronze_run_id AS run FROM ${bronze}`,
    );
    expect(rows).toHaveLength(1);
    const shown = results.find(({ runId }) => runId === rows[0]?.run);
    expect(shown?.outcome).toBe('committed');
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('the one that began earlier and ends later does not put its older rows over newer ones', async () => {
    await using earlier = new Steps(lab);
    await using later = new Steps(lab);
    const earlierPlan = await earlier.load({ table });
    await lab.source.query(`INSERT INTO ${table} VALUES (-1)`);
    await later.commit(await later.load({ table }));
    await expect(earlier.commit(earlierPlan)).resolves.toMatchObject({ outcome: 'superseded', rows: 20_000 });
    await expect(earlier.commit(earlierPlan)).resolves.toMatchObject({ outcome: 'superseded', rows: 20_000 });
    await expectSameRows(lab, table, bronze);
    expect(await statuses()).toEqual(['superseded', 'committed']);
    expect(await lab.leftovers()).toEqual([]);
  });

  test('of which Temporal cannot say whether the first is over: what that has staged stays', async () => {
    await using first = new Steps(lab);
    await using second = new Steps(lab, { namespace: first.namespace });
    const plan = await first.load({ table });
    await expect(second.plan({ table })).rejects.toMatchObject({
      type: 'AlreadyRunning',
      nonRetryable: false,
      message: expect.stringContaining('did not say whether it runs') as string,
    });
    await expect(first.commit(plan)).resolves.toMatchObject({ outcome: 'committed', rows: 20_000 });
  });
});

describe('a target', () => {
  test("of two tables at once is the first one's that commits, and the other is refused", async () => {
    await lab.source.query(
      `CREATE TABLE other_${table} (word text); INSERT INTO other_${table} VALUES ('other')`,
    );
    const target = `shared_${table}`;
    const ended = await Promise.allSettled(
      [table, `other_${table}`].map(async (name) => lab.extract({ table: name, target })),
    );
    const failures = ended.flatMap((one) =>
      one.status === 'rejected' ? [one.reason as { cause: Error }] : [],
    );
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({ cause: { type: 'TargetConflict' } });
    expect(failures[0]?.cause.message).toContain(`bronze.${target} is fed by public.`);
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  testVariants([
    ['a table', 'CREATE TABLE'],
    ['a view', 'CREATE VIEW'],
  ])('that somebody made himself, as %s, is refused and stays', async ([, create]) => {
    await lab.extract({ table });
    await lab.warehouse.query(`DROP TABLE ${bronze}; ${create} ${bronze} AS SELECT 'mine' AS word`);
    await expect(lab.extract({ table })).rejects.toMatchObject({ cause: { type: 'TargetConflict' } });
    expect((await lab.warehouse.query(`TABLE ${bronze}`)).rows).toEqual([{ word: 'mine' }]);
    expect(await lab.leftoversAtLast()).toEqual([]);
  });
});

describe('a commit', () => {
  test('whose answer was lost answers again what it did', async () => {
    await using run = new Steps(lab);
    const plan = await run.load({ table });
    const first = await run.commit(plan);
    expect(first).toMatchObject({ outcome: 'committed', rows: 20_000 });
    await lab.extract({ table });
    expect(await run.commit(plan)).toEqual(first);
  });

  test('that is tried again while the first attempt is still at it is done once, and both know it', async () => {
    await using run = new Steps(lab);
    const plan = await run.load({ table });
    // the first blocks at the end of its commit, where it records whose rows the table shows
    const holder = await lab.connect('warehouse');
    await holder.query('BEGIN; LOCK TABLE bronze.extraction_targets IN SHARE MODE');
    const first = run.commit(plan);
    await waitUntil(async () =>
      (await lab.leftovers()).some((left) => left.includes('INSERT INTO bronze.extraction_targets')),
    );
    const second = run.commit(plan);
    await waitUntil(async () =>
      (await lab.leftovers()).some((left) => left.includes('pg_advisory_xact_lock')),
    );
    await holder.query('COMMIT');
    expect(await first).toMatchObject({ outcome: 'committed', rows: 20_000 });
    expect(await second).toEqual(await first);
    await expectSameRows(lab, table, bronze);
    expect(await lab.leftovers()).toEqual([]);
  });

  test('with chunks missing names them, and bronze is as it was', async () => {
    await using run = new Steps(lab);
    const plan = await run.plan({ table, chunkSize: '64kB' });
    await run.copy(plan, 0);
    await run.copy(plan, 2, plan.chunks - 3);
    expect(await run.commit(plan)).toEqual({ outcome: 'incomplete', missing: [1, plan.chunks - 1] });
    await run.copy(plan, 0, plan.chunks);
    expect(await run.commit(plan)).toMatchObject({ outcome: 'committed', rows: 20_000 });
    await expectSameRows(lab, table, bronze);
  });

  test('of a run that was discarded begins again and does not empty bronze', { tags: 'long' }, async () => {
    await lab.extract({ table });
    await using run = new Steps(lab);
    const plan = await run.load({ table });
    await run.discard();
    await expect(run.commit(plan)).rejects.toMatchObject({ type: 'StagingLost' });
    await expectSameRows(lab, table, bronze);
    expect(await lab.leftovers()).toEqual([]);
  });
});
