import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { Gate } from '../setup/gate.ts';
import { checkpointsOf, extractIncrement } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { pendingFailure } from '../setup/pending-failure.ts';
import { Steps } from '../setup/steps.ts';

let lab: Lab;
let table: string;
let bronze: string;
let request: ExtractTableRequest;

beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

/** A table without a key, so that a repeated row would be there twice; extracted once, with new rows since. */
beforeEach(async () => {
  ({ table, bronze } = lab.nextTable());
  request = { table, incremental: { column: 'at', lookback: 0 } };
  await lab.source.query(`CREATE TABLE ${table} (id int, at timestamptz);
    INSERT INTO ${table} SELECT i, timestamptz '2024-01-01' + i * interval '1 minute' FROM generate_series(1, 100) i`);
  await lab.extract(request);
  await lab.source.query(
    `INSERT INTO ${table} SELECT i, timestamptz '2024-01-01' + i * interval '1 minute' FROM generate_series(101, 150) i`,
  );
});

const complete = async (): Promise<void> => expectSameRows(lab, table, bronze);

describe('two runs at once', () => {
  test('come one after the other, and double nothing', async () => {
    const gate = await Gate.closed(lab);
    const gated = { ...request, where: 'gate(id = 120)' };
    const target = `br_${table}_gated`;
    await gate.open();
    await lab.extract({ ...gated, target });
    await lab.source.query(
      `INSERT INTO ${table} SELECT i, timestamptz '2024-01-02' FROM generate_series(151, 160) i; UPDATE ${table} SET at = '2024-01-02' WHERE id = 120`,
    );
    const closed = await Gate.closed(lab);
    const first = await lab.start({ ...gated, target });
    await closed.reached();
    const second = await lab.start({ ...gated, target });
    expect(await pendingFailure(second)).toContain(
      `is being extracted by the workflow "${first.workflowId}"`,
    );
    await closed.open();
    const results = await Promise.all([first.result(), second.result()]);
    expect(results.map(({ incremental }) => incremental?.added)).toEqual([11, 0]);
    const { rows } = await lab.warehouse.query(
      `SELECT count(*)::int, count(DISTINCT (id, at))::int AS different FROM bronze.${target}`,
    );
    expect(rows).toEqual([{ count: 161, different: 161 }]);
  });

  test('as a commit by hand: PlanOutdated, and nothing is changed', async () => {
    await using one = new Steps(lab);
    await using other = new Steps(lab);
    const [planned, also] = [await one.load(request), await other.load(request)];
    await other.commit(also);
    await expect(one.commit(planned)).rejects.toMatchObject({ type: 'PlanOutdated' });
    await one.discard();
    await complete();
  });

  test('one of an earlier plan that is committed meanwhile is found, though the latest plan is as it was', async () => {
    await using increment = new Steps(lab);
    const planned = await increment.load(request);
    // the state after another run, planned before the last one, has replaced a partition
    await lab.warehouse.query(
      `UPDATE bronze.extraction_targets SET run_id = 'another' WHERE target = 'br_${table}'`,
    );
    await expect(increment.commit(planned)).rejects.toMatchObject({ type: 'PlanOutdated' });
    await increment.discard();
  });

  test('a full run that is committed meanwhile ends what the checkpoint stood for', async () => {
    await using increment = new Steps(lab);
    const planned = await increment.load(request);
    await lab.extract({ table });
    await expect(increment.commit(planned)).rejects.toMatchObject({ type: 'PlanOutdated' });
    await increment.discard();
    expect(await checkpointsOf(lab, `br_${table}`)).toEqual(['2024-01-01 01:40:00+00 superseded']);
    expect((await extractIncrement(lab, request)).incremental.extraction).toBe('full');
    await complete();
  });
});

test('a crash between copy and commit: what was copied is in bronze after the commit of the next attempt, once', async () => {
  {
    await using crashed = new Steps(lab);
    await crashed.load(request);
  }
  expect((await extractIncrement(lab, request)).incremental.added).toBe(50);
  await complete();
});

test('a crash after the commit, before the workflow hears of it: the retried commit answers the same and moves nothing', async () => {
  await using steps = new Steps(lab);
  const plan = await steps.load(request);
  const first = await steps.commit(plan);
  const again = await steps.commit(plan);
  expect(again).toEqual(first);
  expect(first).toMatchObject({
    outcome: 'committed',
    incremental: { added: 50, checkpoint: '2024-01-01 02:30:00+00' },
  });
  await complete();
});

test('a copy that is tried again copies nothing twice', async () => {
  await using steps = new Steps(lab);
  const plan = await steps.load(request);
  await steps.copy(plan, 0, plan.chunks);
  expect(await steps.commit(plan)).toMatchObject({ rows: 51, incremental: { added: 50, unchanged: 1 } });
  await complete();
});

test('rows, checkpoint, manifest and ledger are committed together, or none of them', async () => {
  await lab.warehouse
    .query(`CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$;
    CREATE TRIGGER refuse_it BEFORE INSERT ON bronze.extraction_checkpoints FOR EACH ROW WHEN (new.target = 'br_${table}') EXECUTE FUNCTION refuse()`);
  const before = await lab.warehouse.query(`SELECT * FROM ${bronze}`);
  await using steps = new Steps(lab);
  const plan = await steps.load(request);
  await expect(steps.commit(plan)).rejects.toThrow(/committing/);
  expect((await lab.warehouse.query(`SELECT * FROM ${bronze}`)).rows).toEqual(before.rows);
  await lab.warehouse.query(`DROP TRIGGER refuse_it ON bronze.extraction_checkpoints`);
  expect(await steps.commit(plan)).toMatchObject({ incremental: { added: 50 } });
  await complete();
});
