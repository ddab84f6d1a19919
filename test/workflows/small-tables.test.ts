import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { attemptsOf } from '../setup/attempts.ts';
import { Gate } from '../setup/gate.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab, type ExtractHandle } from '../setup/lab.ts';
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
  await lab.source.query(`CREATE TABLE ${table} (id int PRIMARY KEY, v text, at timestamptz DEFAULT now());
    INSERT INTO ${table} SELECT i, repeat('v', 100) FROM generate_series(1, 5000) i`);
});

/** Returns the ids of a run's activities as scheduled, but for what watches the progress of a run that lasts. */
async function activitiesOf(handle: ExtractHandle): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
    scheduled?.activityType?.name === 'watchProgress' ? [] : (scheduled?.activityId ?? []),
  );
}

describe('a small table is copied and committed by the activity that plans it', () => {
  test('whole', async () => {
    const handle = await lab.start({ table });
    expect(await handle.result()).toMatchObject({ outcome: 'committed', rows: 5000, chunks: 1 });
    expect(await activitiesOf(handle)).toEqual(['plan']);
    await expectSameRows(lab, table, bronze);
    expect(await lab.leftovers()).toEqual([]);
  });

  test('with partitions, of which it says what was copied', async () => {
    await lab.source.query(`CREATE TABLE p_${table} (id int) PARTITION BY RANGE (id);
      CREATE TABLE p_${table}_1 PARTITION OF p_${table} FOR VALUES FROM (1) TO (10);
      CREATE TABLE p_${table}_2 PARTITION OF p_${table} FOR VALUES FROM (10) TO (20);
      INSERT INTO p_${table} SELECT generate_series(1, 19)`);
    const handle = await lab.start({ table: `p_${table}` });
    expect(await handle.result()).toMatchObject({ rows: 19, partitions: 2 });
    expect(await activitiesOf(handle)).toEqual(['plan']);
    expect(await handle.query('progress')).toMatchObject({
      phase: 'done',
      rows: 19,
      chunksDone: 1,
      chunks: 1,
    });
  });

  test('and so is what an increment finds in a large one', async () => {
    const request: ExtractTableRequest = { table, incremental: { column: 'at' }, chunkSize: '128kB' };
    await lab.source.query(`UPDATE ${table} SET at = at - id * interval '1 hour';
      CREATE INDEX ON ${table} (at); ANALYZE ${table}`);
    const first = await lab.start(request);
    expect((await first.result()).chunks).toBeGreaterThan(1);
    await lab.source.query(`INSERT INTO ${table} VALUES (6000, 'new')`);
    const handle = await lab.start(request);
    expect(await handle.result()).toMatchObject({ incremental: { added: 1 } });
    expect(await activitiesOf(handle)).toEqual(['plan']);
    await expectSameRows(lab, table, bronze);
  });

  const others: Readonly<Record<string, () => Promise<ExtractTableRequest>>> = {
    'of several chunks': async () => ({ table, chunkSize: '128kB', consistency: 'none', parallelism: 1 }),
    'with a condition, which may take long': async () => ({ table, where: 'id > 0' }),
    'that is a view, which may take long': async () => {
      await lab.source.query(`CREATE VIEW v_${table} AS SELECT * FROM ${table}`);
      return { table: `v_${table}` };
    },
    'that may read so much in a second only': async () => ({ table, maxBytesPerSecond: '100MB' }),
  };
  testVariants(Object.entries(others))('but not one %s', async ([, requested]) => {
    const handle = await lab.start(await requested());
    expect(await handle.result()).toMatchObject({ rows: 5000 });
    const activities = await activitiesOf(handle);
    expect([activities[0], activities[1], activities.at(-1)]).toEqual(['plan', 'copy-0', 'commit']);
  });

  test('nor one that is paused before it is planned', async () => {
    const handle = await lab.temporal.workflow.signalWithStart('extractTable', {
      taskQueue: lab.taskQueue,
      workflowId: `paused-${lab.name}`,
      args: [{ table }],
      signal: 'pause',
    });
    await waitUntil(async () => (await handle.query<{ phase: string }>('progress')).phase === 'paused');
    expect(await lab.warehouse.query('SELECT to_regclass($1) AS target', [bronze])).toMatchObject({
      rows: [{ target: null }],
    });
    await handle.signal('resume');
    await handle.result();
    await expectSameRows(lab, table, bronze);
  });
});

describe('what stands in the way of it is left to activities of their own', () => {
  test(
    'a copy that the warehouse makes wait begins anew, and then has the time that it needs',
    { tags: 'long' },
    async () => {
      const held = await HeldCopies.hold(lab, 'before each mark');
      const handle = await lab.start({ table });
      await waitUntil(async () => (await activitiesOf(handle)).includes('copy-0'));
      await held.release();
      expect(await handle.result()).toMatchObject({ outcome: 'committed', rows: 5000, restarts: 0 });
      expect(await activitiesOf(handle)).toEqual(['plan', 'copy-0', 'commit']);
      await expectSameRows(lab, table, bronze);
      expect(await lab.leftoversAtLast()).toEqual([]);
    },
  );

  test(
    'a source that takes long to answer is asked again, and then has the time that it needs',
    { tags: 'long' },
    async () => {
      const gate = await Gate.closed(lab);
      await lab.source.query(`ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY;
      CREATE POLICY slow ON ${table} USING (gate(id = 5))`);
      const handle = await lab.start({ table });
      await waitUntil(async () => (await activitiesOf(handle)).includes('copy-0'));
      await gate.open();
      expect(await handle.result()).toMatchObject({ outcome: 'committed', rows: 5000, restarts: 0 });
      await expectSameRows(lab, table, bronze);
    },
  );

  test('a commit that a reader is in the way of waits for it', async () => {
    await lab.extract({ table });
    await lab.source.query(`DELETE FROM ${table} WHERE id > 10`);
    const reader = await lab.connect('warehouse');
    await reader.query(`BEGIN; SELECT count(*) FROM ${bronze}`);
    const handle = await lab.start({ table });
    await waitUntil(async () => (await activitiesOf(handle)).includes('commit'));
    await reader.query('COMMIT');
    expect(await handle.result()).toMatchObject({ outcome: 'committed', rows: 10 });
    expect(await activitiesOf(handle)).toEqual(['plan', 'copy-0', 'commit']);
    await expectSameRows(lab, table, bronze);
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('and a worker that was asked to stop copies nothing more', async () => {
    await using run = new Steps(lab, { stopping: true });
    expect(await run.planAndFinish({ table })).not.toHaveProperty('outcome');
    await run.discard();
  });
});

describe('when the activity is tried again', () => {
  const appending = (): ExtractTableRequest => ({ table, incremental: { column: 'at', lookback: '1 day' } });

  test('what it has committed is told again, and not done again', async () => {
    await lab.extract(appending());
    await lab.source.query(`INSERT INTO ${table} SELECT i, 'more' FROM generate_series(6001, 6010) i`);
    await using run = new Steps(lab);
    const first = await run.planAndFinish(appending());
    expect(first.outcome).toMatchObject({ rows: 5010, incremental: { added: 10 } });
    await lab.source.query(`INSERT INTO ${table} VALUES (7000, 'later')`);
    const again = await run.planAndFinish(appending(), 2);
    expect(again).toEqual({ ...first, partitions: [], checkpoint: undefined, runId: undefined });
    await expectSameRows(lab, table, bronze, { where: 'id < 7000' });
  });

  test('what it has not committed is planned anew, and an attempt that hangs is ended', async () => {
    await using run = new Steps(lab);
    await lab.extract({ table });
    const held = await HeldCopies.hold(lab, 'before each mark');
    const hanging = run.planAndFinish(appending()).catch((error: unknown) => error);
    await held.reached();
    const again = run.planAndFinish(appending(), 2);
    await hanging;
    await held.release();
    const { planId, outcome } = await again;
    expect(outcome).toMatchObject({ outcome: 'committed', rows: 5000 });
    expect(await attemptsOf(lab, planId)).toEqual([{ chunk: 0, attempt: 2 }]);
    await expectSameRows(lab, table, bronze);
    expect(await lab.leftoversAtLast()).toEqual([]);
  });
});
