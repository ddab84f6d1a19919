import { afterAll, beforeAll, expect, test } from 'vitest';
import { forgetKeys, prepareMirror } from '../../src/bronze/cdc/mirror.ts';
import { Database } from '../../src/postgres/database.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { testVariants } from '../setup/variants.ts';

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

test('a copy in a warehouse that was moved takes no name of an index that came with it', async () => {
  await lab.source.query(`CREATE TABLE kept (id int, v text);
    INSERT INTO kept SELECT i, repeat('v', 100) FROM generate_series(1, 5000) i`);
  await extract('kept');
  // from another server, where the partition of another table had this OID
  await lab.warehouse.query(`CREATE TABLE bronze_data.elsewhere (id int); DO $$ BEGIN
    EXECUTE (SELECT format('CREATE INDEX capture_key_%s ON bronze_data.elsewhere (id)', partdefid)
               FROM pg_partitioned_table WHERE partrelid = 'bronze.br_kept'::regclass); END $$`);
  const warehouse = new Database({ label: 'warehouse', settings: lab.configuration().warehouse });
  const key = { mirrored: true, target: 'br_kept' };
  const keys = `SELECT FROM pg_indexes WHERE schemaname = 'bronze_data' AND tablename LIKE 'br_kept%'`;
  await warehouse.write({}, async (session) => prepareMirror(session, key.target, ['id']));
  expect((await lab.warehouse.query(keys)).rowCount).toBe(1);
  await warehouse.write({}, async (session) => forgetKeys(session, [key]));
  await warehouse.close();
  expect((await lab.warehouse.query(keys)).rowCount).toBe(0);
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

test('a warehouse that was restored from a backup gives the number of a plan that it lost to another run: each copies and commits its own', async () => {
  await lab.source.query(`CREATE TABLE lost (id int, v text); CREATE TABLE later (id int, v text);
    INSERT INTO lost SELECT i, repeat('l', 100) FROM generate_series(1, 5000) i;
    INSERT INTO later SELECT i, repeat('r', 100) FROM generate_series(1, 5000) i`);
  const request = { table: 'lost', chunkSize: '128kB' };
  await using first = new Steps(lab);
  const lost = await first.load(request);
  await lab.warehouse.query(`DELETE FROM bronze.extraction_plans WHERE plan_id = ${lost.planId};
    DELETE FROM bronze.extraction_chunks WHERE plan_id = ${lost.planId};
    DELETE FROM bronze.extraction_attempts WHERE plan_id = ${lost.planId};
    DELETE FROM bronze.extraction_runs WHERE plan_id = ${lost.planId};
    DROP TABLE bronze_staging.plan_${lost.planId};
    ALTER SEQUENCE bronze.extraction_plans_plan_id_seq RESTART WITH ${lost.planId}`);
  await using second = new Steps(lab);
  const others = await second.plan({ table: 'later', chunkSize: '128kB' });
  expect(others.planId).toBe(lost.planId);
  const gone = { type: 'StagingLost' };
  await expect(first.copy(lost, 1)).rejects.toMatchObject(gone);
  await second.copy(others, 0, others.chunks);
  await expect(first.commit(lost)).rejects.toMatchObject(gone);
  expect(await second.commit(others)).toMatchObject({ outcome: 'committed', rows: 5000 });
  await expectSameRows(lab, 'later', 'bronze.br_later');
  const again = await first.load(request);
  expect(await first.commit(again)).toMatchObject({ outcome: 'committed', rows: 5000 });
  await expectSameRows(lab, 'lost', 'bronze.br_lost');
});

test('a staging table that somebody dropped is told as that to the copy, in its middle too, and to the commit', async () => {
  await lab.source.query('CREATE TABLE swept AS SELECT generate_series(1, 20000) AS id');
  await using run = new Steps(lab);
  const request = { table: 'swept', chunkSize: '64kB' };
  const gone = {
    type: 'StagingLost',
    message: expect.stringMatching(/^\S.* staging table of plan \d+ is gone/) as string,
  };
  const plan = await run.load(request);
  await lab.warehouse.query(`DROP TABLE bronze_staging.plan_${plan.planId}`);
  await expect(run.commit(plan)).rejects.toMatchObject(gone);
  const again = await run.plan(request, 2);
  await lab.warehouse.query(`CREATE FUNCTION sweep() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN DROP TABLE bronze_staging.plan_${again.planId}; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER sweep AFTER INSERT ON bronze.extraction_chunks DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.plan_id = ${again.planId}) EXECUTE FUNCTION sweep()`);
  await expect(run.copy(again, 0, again.chunks)).rejects.toMatchObject(gone);
  await expect(run.copy(again, 0, again.chunks)).rejects.toMatchObject(gone);
  await lab.warehouse.query('DROP FUNCTION sweep CASCADE');
  const last = await run.plan(request, 3);
  await run.copy(last, 0, last.chunks);
  expect(await run.commit(last)).toMatchObject({ outcome: 'committed', rows: 20_000 });
});

testVariants(['bronze_data', 'bronze_staging'])(
  'the schema %s that was dropped is made anew, with all that it had of ours',
  async (schema) => {
    const table = `after_${schema}`;
    await lab.source.query(`CREATE TABLE ${table} (id int, v text);
      INSERT INTO ${table} SELECT i, format('{"i": %s}', i) FROM generate_series(1, 5000) i`);
    const request = { table, chunkSize: '128kB', json: { parse: ['v'] } };
    await using earlier = new Steps(lab);
    await earlier.commit(await earlier.load(request));
    await using run = new Steps(lab);
    const loaded = await run.load(request);
    await lab.warehouse.query(`DROP SCHEMA ${schema} CASCADE`);
    const failed = schema === 'bronze_data' ? run.commit(loaded) : run.plan(request);
    await expect(failed).rejects.toMatchObject({
      type: 'BookkeepingLost',
      nonRetryable: false,
      message: expect.stringContaining(`warehouse: the schema ${schema} does not exist`) as string,
    });
    const plan = await run.plan(request, 2);
    await run.copy(plan, 0, plan.chunks);
    expect(await run.commit(plan)).toMatchObject({ outcome: 'committed', rows: 5000 });
    await expectSameRows(lab, table, `bronze.br_${table}`);
    const { rows } = await lab.warehouse.query(
      `SELECT count(*)::int AS rows FROM bronze.br_${table} WHERE v_parsed = jsonb_build_object('i', id)`,
    );
    expect(rows).toEqual([{ rows: 5000 }]);
  },
);
