import type { WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { SNAPSHOT_EXPORTED_SIGNAL } from '../../src/contract/snapshot.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { Gate } from '../setup/gate.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { resetRun } from '../setup/reset-run.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
let table: string;
let bronze: string;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());
beforeEach(async () => {
  ({ table, bronze } = lab.nextTable());
  await lab.source.query(`CREATE TABLE ${table} (id int, v text);
    INSERT INTO ${table} SELECT i, repeat('v', 100) FROM generate_series(1, 10000) i`);
});

interface LedgerRow {
  readonly chunk: number;
  readonly attempt: number;
  readonly rows: number;
}

async function ledger(): Promise<LedgerRow[]> {
  const { rows } = await lab.warehouse.query<LedgerRow>(
    `SELECT chunk, attempt, rows::int FROM bronze.extraction_chunks
      WHERE plan_id = (SELECT plan_id FROM bronze.extraction_runs WHERE target = 'br_${table}' ORDER BY started_at DESC LIMIT 1) ORDER BY chunk`,
  );
  return rows;
}

describe('a copy whose session ends in the middle is done again, alone, and no row is lost or doubled', () => {
  test('that of the source', async () => {
    const gate = await Gate.closed(lab);
    const handle = await lab.start({ table, chunkSize: '128kB', where: 'gate(id = 5000)' });
    const [pid] = await gate.reached();
    await lab.source.query('SELECT pg_terminate_backend($1)', [pid]);
    await gate.open();
    await expect(handle.result()).resolves.toMatchObject({ rows: 10_000, restarts: 0 });
    await expectSameRows(lab, table, bronze);
    const attempts = await ledger();
    expect(attempts.reduce((sum, { rows }) => sum + rows, 0)).toBe(10_000);
    expect(new Set(attempts.map(({ attempt }) => attempt))).toEqual(new Set([1, 2]));
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('that of the warehouse', { tags: 'long' }, async () => {
    const gate = await Gate.closed(lab);
    const handle = await lab.start({ table, chunkSize: '128kB', where: 'gate(id = 5000)' });
    await gate.reached();
    const { rowCount } = await lab.warehouse.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'loader' AND query LIKE 'COPY%' AND state = 'active' AND datname = current_database()`,
    );
    expect(rowCount).toBeGreaterThan(0);
    await gate.open();
    await expect(handle.result()).resolves.toMatchObject({ rows: 10_000, restarts: 0 });
    await expectSameRows(lab, table, bronze);
    expect((await ledger()).some(({ attempt }) => attempt === 2)).toBe(true);
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test(
    'also when somebody resets its activity, whose attempts are counted anew',
    { tags: 'long' },
    async () => {
      const gate = await Gate.closed(lab);
      const handle = await lab.start({ table, chunkSize: '128kB', where: 'gate(id = 5000)' });
      let pid: number | undefined;
      const reachedAgain = async () => {
        const before = pid;
        await waitUntil(async () => ([pid] = await gate.reached())[0] !== before);
      };
      for (let lost = 0; lost < 2; lost += 1) {
        await reachedAgain();
        await lab.source.query('SELECT pg_terminate_backend($1)', [pid]);
      }
      await reachedAgain();
      const { pendingActivities } = (await handle.describe()).raw;
      const copies = pendingActivities?.filter(({ activityId }) => activityId?.startsWith('copy-'));
      const id = copies?.find(({ attempt }) => attempt === 3)?.activityId ?? '';
      await lab.temporal.workflowService.resetActivity({
        namespace: 'default',
        execution: { workflowId: handle.workflowId },
        id,
      });
      await reachedAgain();
      const { rows } = await lab.warehouse.query(
        `SELECT attempt < 3 AS anew FROM bronze.extraction_attempts WHERE 'copy-' || first_chunk = $1`,
        [id],
      );
      expect(rows).toEqual([{ anew: true }]);
      await gate.open();
      await expect(handle.result()).resolves.toMatchObject({ rows: 10_000, restarts: 0 });
      await expectSameRows(lab, table, bronze);
    },
  );
});

test('a run that is reset while it copies puts no rows of two moments together', async () => {
  const gate = await Gate.closed(lab);
  const request = { table, chunkSize: '128kB', parallelism: 1, where: 'gate(id = 5000)' };
  const handle = await lab.start(request);
  await gate.reached();
  await handle.signal('pause');
  await waitUntil(
    async () =>
      (await lab.warehouse.query(`${PLAN_OF_RUN} AND paused`, [handle.firstExecutionRunId])).rowCount === 1,
  );
  await gate.open();
  await waitUntil(async () => !(await isCopying(handle)));
  // these rows are in chunks that are done, and move to one that is not
  await lab.source.query(`UPDATE ${table} SET v = 'new' WHERE id <= 1000`);
  const again = await resetRun(lab, handle, 'last task');
  await waitUntil(async () => (await snapshotsTold(again)) > 1);
  await again.signal('resume');
  expect(await again.result()).toMatchObject({ rows: 10_000, restarts: 1 });
  await expectSameRows(lab, table, bronze);
  expect(await lab.leftoversAtLast()).toEqual([]);
});

const PLAN_OF_RUN = 'SELECT FROM bronze.extraction_plans WHERE run_id = $1';

async function isCopying(handle: WorkflowHandle): Promise<boolean> {
  const { pendingActivities } = (await handle.describe()).raw;
  return pendingActivities?.some(({ activityId }) => activityId?.startsWith('copy-')) ?? false;
}

/** Counts the snapshots that a workflow was told of. */
async function snapshotsTold(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  const names = events?.map((event) => event.workflowExecutionSignaledEventAttributes?.signalName);
  return names?.filter((name) => name === SNAPSHOT_EXPORTED_SIGNAL).length ?? 0;
}

test('a run whose snapshot is lost begins again on another, and shows that moment', async () => {
  const gate = await Gate.closed(lab);
  const handle = await lab.start({ table, chunkSize: '128kB', where: 'gate(id = 5000)' });
  await gate.reached();
  await lab.source.query(
    `DELETE FROM ${table} WHERE id % 3 = 0; UPDATE ${table} SET v = 'new' WHERE id % 3 = 1`,
  );
  const { rowCount } = await lab.source.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE usename = 'extractor' AND state = 'idle in transaction' AND datname = current_database() AND query NOT LIKE 'COPY%'`,
  );
  expect(rowCount).toBeGreaterThan(0);
  await waitUntil(
    async () =>
      (
        await lab.source.query(
          `SELECT FROM pg_stat_activity WHERE usename = 'extractor' AND query LIKE 'COPY%' AND state = 'active' AND datname = current_database()`,
        )
      ).rowCount === 0,
  );
  await gate.open();
  const { restarts } = await handle.result();
  expect(restarts).toBeGreaterThanOrEqual(1);
  await expectSameRows(lab, table, bronze);
  expect(await lab.leftoversAtLast()).toEqual([]);
});

test(
  'a run whose snapshot becomes too old gives it back, drops what it staged and fails',
  { tags: 'long' },
  async () => {
    await lab.extract({ table });
    await lab.source.query(
      `CREATE TABLE before_${table} AS TABLE ${table}; DELETE FROM ${table} WHERE id > 100`,
    );
    const gate = await Gate.closed(lab);
    const where = 'gate(id = 50)';
    const handle = await lab.start({ table, chunkSize: '128kB', where, maxSnapshotAge: '1 second' });
    await gate.reached();
    await expectFailure(
      handle.result(),
      'SnapshotTooOld',
      'The snapshot became 1.0 s old before the copy was done',
    );
    expect(await lab.leftoversAtLast()).toEqual([]);
    await gate.open();
    await expectSameRows(lab, `before_${table}`, bronze);
  },
);

test(
  'a run of a database whose snapshot becomes too old gives it back, drops what it staged and fails',
  { tags: 'long' },
  async () => {
    const gate = await Gate.closed(lab);
    const where = 'gate(id = 50)';
    const handle = await lab.startDatabase({
      tables: [{ table, where }],
      defaults: { maxSnapshotAge: '1 second' },
    });
    await gate.reached();
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'SnapshotTooOld' } });
    expect(await lab.leftoversAtLast()).toEqual([]);
    await gate.open();
  },
);

test('a commit whose session ends is made again', async () => {
  await lab.extract({ table });
  const holder = await lab.connect('warehouse');
  await holder.query('BEGIN; LOCK TABLE bronze.extraction_targets IN SHARE MODE');
  await lab.source.query(`DELETE FROM ${table} WHERE id > 100`);
  const handle = await lab.start({ table });
  const committing = `FROM pg_stat_activity WHERE usename = 'loader' AND query LIKE '%INSERT INTO bronze.extraction_targets%' AND state = 'active' AND datname = current_database()`;
  await waitUntil(async () => (await lab.warehouse.query(`SELECT ${committing}`)).rowCount === 1);
  await lab.warehouse.query(`SELECT pg_terminate_backend(pid) ${committing}`);
  await holder.query('COMMIT');
  await expect(handle.result()).resolves.toMatchObject({ outcome: 'committed', rows: 100 });
  await expectSameRows(lab, table, bronze);
  expect(await lab.leftoversAtLast()).toEqual([]);
});

describe('an attempt that wakes up when another has done its work', () => {
  test('while both copy writes nothing, and is told to look again', async () => {
    await using run = new Steps(lab);
    const plan = await run.plan({ table, chunkSize: '128kB' });
    const held = await HeldCopies.hold(lab, 'before each mark');
    const attempts = [run.copy(plan, 1), run.copy(plan, 1)].map(async (copying) =>
      copying.catch((error: unknown) => error),
    );
    await held.reached(2);
    await held.release();
    const outcomes = await Promise.all(attempts);
    const late = outcomes.filter((outcome) => outcome instanceof Error);
    expect(late).toMatchObject([{ type: 'SerializationFailure', nonRetryable: false }]);
    expect(await ledger()).toHaveLength(1);
    const answer = await run.copy(plan, 1);
    await run.copy(plan, 0, plan.chunks);
    await run.commit(plan);
    await expectSameRows(lab, table, bronze);
    expect(outcomes).toContainEqual(answer);
  });

  test('after the commit writes nothing', { tags: 'long' }, async () => {
    await using run = new Steps(lab);
    const plan = await run.load({ table });
    await run.commit(plan);
    await expect(run.copy(plan, 0)).rejects.toMatchObject({ type: 'StagingLost' });
    await expectSameRows(lab, table, bronze);
  });
});
