import { afterAll, beforeAll, expect, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
});
afterAll(async () => lab.close());

async function extract(table: string): Promise<void> {
  await using run = new Steps(lab);
  const plan = await run.load({ table, chunkSize: '128kB' });
  expect(plan.chunks).toBeGreaterThan(1);
  expect(await run.commit(plan)).toMatchObject({ outcome: 'committed', rows: 5000 });
  await expectSameRows(lab, table, `bronze.br_${table}`);
}

/** As after logical replication, or a copy made table by table, which leave sequences at their start. */
const loseSequences = async () =>
  lab.warehouse.query(`ALTER SEQUENCE bronze.extraction_plans_plan_id_seq RESTART;
    ALTER SEQUENCE bronze.extraction_checkpoints_checkpoint_id_seq RESTART;
    ALTER SEQUENCE bronze.cdc_positions_capture_id_seq RESTART`);

test('a warehouse that was moved without its sequences: new workers count on, and take no chunk for copied', async () => {
  await lab.source.query(`CREATE TABLE one (id int, v text); CREATE TABLE other (id int, v text);
    INSERT INTO one SELECT i, repeat('v', 100) FROM generate_series(1, 5000) i;
    INSERT INTO other SELECT i, repeat('w', 100) FROM generate_series(1, 5000) i`);
  await extract('one');
  await lab.warehouse.query(`INSERT INTO bronze.extraction_checkpoints OVERRIDING SYSTEM VALUE
      VALUES (7, 'default', 'public', 'one', 'br_one', 'id', 'integer', '1', 'superseded', 'append', '[]', NULL, 'none', 'earlier')`);
  await loseSequences();
  await extract('other');
  await loseSequences();
  await lab.source.query(`UPDATE one SET v = 'new'`);
  await extract('one');
  const { rows } = await lab.warehouse
    .query(`SELECT nextval('bronze.extraction_checkpoints_checkpoint_id_seq')::int AS checkpoint,
    nextval('bronze.cdc_positions_capture_id_seq')::int AS capture`);
  expect(rows).toEqual([{ checkpoint: 8, capture: 1 }]);
});

test('a schema bronze that was dropped is made anew by a worker that knew it, beside what it does not know', async () => {
  await lab.source.query(`CREATE TABLE anew (id int, v text);
    INSERT INTO anew SELECT i, repeat('v', 100) FROM generate_series(1, 5000) i`);
  const request = { table: 'anew', chunkSize: '128kB' };
  await using run = new Steps(lab);
  const left = await run.load(request);
  await lab.warehouse.query('DROP SCHEMA bronze CASCADE');
  await expect(run.plan(request)).rejects.toMatchObject({
    type: 'BookkeepingLost',
    nonRetryable: false,
    message: expect.stringMatching(/relation "bronze\.extraction_\w+" does not exist/) as string,
  });
  const plan = await run.plan(request, 2);
  expect(Number(plan.planId)).toBeGreaterThan(Number(left.planId));
  await run.copy(plan, 0, plan.chunks);
  expect(await run.commit(plan)).toMatchObject({ outcome: 'committed', rows: 5000 });
  await expectSameRows(lab, 'anew', 'bronze.br_anew');
  await lab.warehouse.query(`DROP TABLE bronze_staging.plan_${left.planId}`);
});
