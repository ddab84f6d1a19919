import { randomUUID } from 'node:crypto';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createActivities } from '../../src/activities/create-activities.ts';
import type {
  CloseDatabaseRunRequest,
  CopyTablesRequest,
  ResolveTablesRequest,
} from '../../src/contract/database-activities.ts';
import type { PlanSummary } from '../../src/contract/plan-summary.ts';
import { connectDatabases } from '../../src/runtime/connect-databases.ts';
import { attemptsOf } from '../setup/attempts.ts';
import { beginHanging } from '../setup/hang.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { untilWaitedFor } from '../setup/until-waited-for.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
let table: string;
let bronze: string;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
});
afterAll(async () => lab.close());
beforeEach(async () => {
  ({ table, bronze } = lab.nextTable());
  await lab.source.query(`CREATE TABLE ${table} (id int, v text);
    INSERT INTO ${table} SELECT i, repeat('v', 100) FROM generate_series(1, 5000) i`);
});

const OVERTAKEN = { type: 'SerializationFailure', nonRetryable: false };
const ended = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    (value) => value,
    (error: unknown) => error,
  );

/** Holds first attempts after they have read the plan, while they claim their chunks. */
async function heldClaims() {
  const lock = 4243;
  const keeper = await lab.connect('warehouse');
  await keeper.query(`CREATE OR REPLACE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_advisory_xact_lock_shared(${lock});
      RETURN NEW;
    END $$;
    CREATE TRIGGER wait_here BEFORE INSERT ON bronze.extraction_attempts FOR EACH ROW
      WHEN (NEW.attempt = 1) EXECUTE FUNCTION wait_here();
    SELECT pg_advisory_lock(${lock})`);
  return {
    reached: async () =>
      waitUntil(async () => {
        const waiting = `SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = ${lock} AND NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
        return (await lab.warehouse.query(waiting)).rowCount === 1;
      }),
    release: async () => {
      await keeper.query('SELECT pg_advisory_unlock_all()');
      await keeper.query('DROP TRIGGER wait_here ON bronze.extraction_attempts');
    },
  };
}

async function isWaitingForClaim(): Promise<boolean> {
  const { rowCount } = await lab.warehouse.query(
    `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'transactionid'`,
  );
  return rowCount !== 0;
}

/** Has a later attempt at the first three chunks begin while an earlier one hangs in the middle of the first. */
async function expectLaterToCopy(run: Steps, plan: PlanSummary): Promise<void> {
  const held = await HeldCopies.hold(lab, 'before each mark');
  const earlier = ended(run.copy(plan, 0, 3, 1));
  await held.reached();
  const later = run.copy(plan, 0, 3, 2);
  expect(await earlier).toMatchObject({ type: 'ConnectionLost' });
  await held.release();
  await later;
}

describe('of two attempts at the same work only the later writes', () => {
  test('a copy: the earlier, in the middle of a chunk on a worker that hangs, is ended and not waited for', async () => {
    await using run = new Steps(lab);
    const plan = await run.plan({ table, chunkSize: '128kB' });
    await expectLaterToCopy(run, plan);
    expect(await attemptsOf(lab, plan.planId)).toEqual([0, 1, 2].map((chunk) => ({ chunk, attempt: 2 })));
    await run.copy(plan, 3, plan.chunks - 3);
    await run.commit(plan);
    await expectSameRows(lab, table, bronze);
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('a copy: the earlier is ended, too, where the role of the worker sets another', async () => {
    const owner = `owner_${lab.name}`;
    await lab.warehouse.query(`CREATE ROLE ${owner}; GRANT ${owner} TO loader;
      GRANT CREATE ON DATABASE warehouse_${lab.name} TO ${owner}; REASSIGN OWNED BY loader TO ${owner};
      ALTER ROLE loader IN DATABASE warehouse_${lab.name} SET role = '${owner}'`);
    try {
      await using run = new Steps(lab);
      const plan = await run.plan({ table, chunkSize: '128kB' });
      await expectLaterToCopy(run, plan);
      await run.copy(plan, 3, plan.chunks - 3);
      await run.commit(plan);
      await expectSameRows(lab, table, bronze);
    } finally {
      await lab.warehouse.query(`ALTER ROLE loader IN DATABASE warehouse_${lab.name} RESET role;
        REASSIGN OWNED BY ${owner} TO loader; DROP OWNED BY ${owner}; DROP ROLE ${owner}`);
    }
  });

  test('a copy: the earlier wakes up between two chunks', async () => {
    await using run = new Steps(lab);
    const plan = await run.plan({ table, chunkSize: '128kB' });
    await run.copy(plan, 0, 1, 2);
    await expect(run.copy(plan, 0, 3, 1)).rejects.toMatchObject(OVERTAKEN);
    expect(await attemptsOf(lab, plan.planId)).toEqual([{ chunk: 0, attempt: 2 }]);
    await run.discard();
  });

  test('a copy: the earlier is between two chunks when the later is given the work, and reads no other', async () => {
    await using run = new Steps(lab);
    const where = 'CASE WHEN id < 1000 THEN true ELSE 1 / (id - id) = 0 END';
    const plan = await run.plan({ table, chunkSize: '128kB', where });
    // like a later attempt, once the earlier one has marked its first chunk
    await lab.warehouse.query(`CREATE FUNCTION overtake() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE bronze.extraction_attempts SET attempt = 2 WHERE plan_id = NEW.plan_id;
        RETURN NULL;
      END $$;
      CREATE TRIGGER overtake AFTER INSERT ON bronze.extraction_chunks FOR EACH ROW EXECUTE FUNCTION overtake()`);
    await expect(run.copy(plan, 0, plan.chunks)).rejects.toMatchObject(OVERTAKEN);
    await lab.warehouse.query('DROP TRIGGER overtake ON bronze.extraction_chunks');
    expect(await attemptsOf(lab, plan.planId)).toEqual([{ chunk: 0, attempt: 1 }]);
    await run.discard();
  });

  test('a copy: the earlier has copied its rows when the later is given the work', async () => {
    await using run = new Steps(lab);
    const plan = await run.plan({ table, chunkSize: '128kB' });
    const held = await HeldCopies.hold(lab, 'before each mark');
    const earlier = ended(run.copy(plan, 0));
    await held.reached();
    // like a later attempt that the warehouse does not allow to end the session of the earlier one
    await lab.warehouse.query('UPDATE bronze.extraction_attempts SET attempt = 2 WHERE plan_id = $1', [
      plan.planId,
    ]);
    await held.release();
    expect(await earlier).toMatchObject(OVERTAKEN);
    expect(await attemptsOf(lab, plan.planId)).toEqual([]);
    await run.discard();
  });

  test('a copy: the earlier hangs when it has claimed its chunks', async () => {
    await using run = new Steps(lab);
    const plan = await run.plan({ table, chunkSize: '128kB' });
    const claims = await heldClaims();
    const earlier = ended(run.copy(plan, 0, 3, 1));
    await claims.reached();
    await run.copy(plan, 0, 3, 2);
    expect(await earlier).toMatchObject({ type: 'ConnectionLost' });
    expect(await attemptsOf(lab, plan.planId)).toEqual([0, 1, 2].map((chunk) => ({ chunk, attempt: 2 })));
    await claims.release();
    await run.discard();
  });

  test('a copy: the earlier claims its chunks when the run is over', async () => {
    await using run = new Steps(lab);
    const plan = await run.load({ table, chunkSize: '128kB' });
    const claims = await heldClaims();
    const earlier = ended(run.copy(plan, 0, 1, 1));
    await claims.reached();
    const committing = run.commit(plan);
    await Promise.race([committing, waitUntil(isWaitingForClaim)]);
    await claims.release();
    await Promise.all([earlier, committing]);
    await expectSameRows(lab, table, bronze);
    expect(await lab.leftovers()).toEqual([]);
  });

  test('a plan: the earlier wakes up when the run copies, and when it is over', async () => {
    await using run = new Steps(lab);
    const request = { table, chunkSize: '128kB' };
    const plan = await run.plan(request, 2);
    await run.copy(plan, 0, 2);
    await expect(run.plan(request, 1)).rejects.toMatchObject(OVERTAKEN);
    expect(await attemptsOf(lab, plan.planId)).toHaveLength(2);
    await run.copy(plan, 0, plan.chunks);
    await run.commit(plan);
    await expect(run.plan(request, 1)).rejects.toMatchObject(OVERTAKEN);
    expect(await lab.leftoversAtLast()).toEqual([]);
    const { rows } = await lab.warehouse.query(
      'SELECT status FROM bronze.extraction_runs WHERE target = $1',
      [`br_${table}`],
    );
    expect(rows).toEqual([{ status: 'committed' }]);
  });

  test('a plan: the earlier hangs in the middle of its transaction', async () => {
    await using run = new Steps(lab);
    const hanging = await lab.connect('warehouse', 'loader');
    await run.load({ table });
    await beginHanging(hanging, 'warehouse', run.runId);
    await hanging.query('SELECT FROM bronze.extraction_plans FOR UPDATE');
    const plan = await run.plan({ table }, 2);
    await run.copy(plan, 0, plan.chunks);
    await run.commit(plan);
    await expectSameRows(lab, table, bronze);
  });

  test('a commit: the earlier hangs in the middle of its transaction, and keeps readers out', async () => {
    await using run = new Steps(lab);
    await run.commit(await run.load({ table }));
    const hanging = await lab.connect('warehouse', 'loader');
    await using next = new Steps(lab);
    await lab.source.query(`DELETE FROM ${table} WHERE id > 10`);
    const plan = await next.load({ table });
    await beginHanging(hanging, 'warehouse', next.runId);
    await hanging.query(`LOCK TABLE ${bronze} IN ACCESS EXCLUSIVE MODE`);
    await expect(next.commit(plan, 1)).rejects.toMatchObject({ type: 'LockTimeout' });
    expect(await next.commit(plan, 2)).toMatchObject({ outcome: 'committed', rows: 10 });
    await expectSameRows(lab, table, bronze);
    await waitUntil(async () => (await lab.leftovers()).length === 0);
  });

  test('a pack: the earlier hangs in the middle of its transaction, and keeps readers out', async () => {
    await using run = new Steps(lab);
    await run.commit(await run.load({ table }));
    const runId = randomUUID();
    const hanging = await lab.connect('warehouse', 'loader');
    await beginHanging(hanging, 'warehouse', runId);
    await hanging.query(`LOCK TABLE ${bronze} IN ACCESS EXCLUSIVE MODE`);
    await lab.source.query(`DELETE FROM ${table} WHERE id > 10`);
    const databases = connectDatabases(lab.configuration());
    const { resolveTables, copyTables, closeDatabaseRun } = createActivities(databases);
    const worker = new MockActivityEnvironment(
      { attempt: 2, namespace: 'by hand' },
      { logger: new DefaultLogger('ERROR', () => undefined) },
    );
    const begun: ResolveTablesRequest = { runId, workflowId: 'by hand', request: { tables: [table] } };
    await worker.run(resolveTables, begun);
    const pack: CopyTablesRequest = { ...begun, source: 'default', members: [0], restarts: 0 };
    expect(await worker.run(copyTables, pack)).toMatchObject({
      tables: [{ outcome: 'committed', rows: 10 }],
    });
    const totals = { committed: 1, failed: 0, skipped: 0, superseded: 0, rows: 10, bytes: 0 };
    const closed: CloseDatabaseRunRequest = {
      ...totals,
      runId,
      status: 'complete',
      restarts: 0,
      warnings: [],
    };
    await worker.run(closeDatabaseRun, closed);
    await databases.close();
    await expectSameRows(lab, table, bronze);
  });

  test('a commit: the earlier ends well after the later has looked, and both say so', async () => {
    await using run = new Steps(lab);
    const plan = await run.load({ table });
    const earlier = await lab.connect('warehouse');
    await earlier.query('BEGIN; LOCK TABLE bronze.extraction_plans IN ACCESS EXCLUSIVE MODE');
    const later = ended(run.commit(plan, 2));
    await untilWaitedFor(lab.warehouse, 'bronze.extraction_plans');
    // the state after a commit
    await earlier.query(`DELETE FROM bronze.extraction_plans; DROP TABLE bronze_staging.plan_${plan.planId};
      DELETE FROM bronze.extraction_attempts; UPDATE bronze.extraction_runs SET status = 'committed', rows = 5000, bytes = 1
       WHERE run_id = '${run.runId}'; COMMIT`);
    expect(await later).toMatchObject({ outcome: 'committed', rows: 5000 });
    expect(await lab.leftovers()).toEqual([]);
  });
});
