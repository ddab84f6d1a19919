import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createActivities } from '../../src/activities/create-activities.ts';
import { connectDatabases } from '../../src/runtime/connect-databases.ts';
import { extractTableInput } from '../../src/contract/extract-table.ts';
import { failurePolicies } from '../../src/contract/failures.ts';
import { Gate } from '../setup/gate.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { pendingFailure } from '../setup/pending-failure.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { untilWaitedFor } from '../setup/until-waited-for.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE TABLE days (id int, day date, v text) PARTITION BY RANGE (day);
    CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM ('2024-01-01') TO ('2024-01-02');
    CREATE TABLE days_2 PARTITION OF days FOR VALUES FROM ('2024-01-02') TO ('2024-01-03');
    CREATE TABLE days_3 PARTITION OF days FOR VALUES FROM ('2024-01-03') TO ('2024-01-04');
    INSERT INTO days SELECT i, '2024-01-01'::date + i % 3, repeat('v', 200) FROM generate_series(1, 3000) i`);
  await lab.extract({ table: 'days', target: 'warm' });
});
afterAll(async () => lab.close());

const request = { table: 'days', lockTimeout: '100ms', chunkSize: '64kB' } as const;
const message = 'public.days_2 is locked by another session of the source';

async function locked(partition: string): Promise<{ release: () => Promise<unknown> }> {
  const keeper = await lab.connect('source');
  await keeper.query(`BEGIN; LOCK TABLE ${partition} IN ACCESS EXCLUSIVE MODE`);
  return { release: async () => keeper.query('COMMIT') };
}

describe('a partition that another session has locked', () => {
  test('while the run is planned: it is named, tried again, and the run goes on when it is free', async () => {
    const lock = await locked('days_2');
    const handle = await lab.start({ ...request, target: 'planned' });
    expect(await pendingFailure(handle)).toContain(message);
    await lock.release();
    await expect(handle.result()).resolves.toMatchObject({ rows: 3000 });
    await expectSameRows(lab, 'days', 'bronze.planned');
  });

  test('while it is copied: the same, and nothing begins again', { tags: 'long' }, async () => {
    const held = await HeldCopies.hold(lab, 'before the first');
    const handle = await lab.start({ ...request, target: 'copied' });
    await held.reached();
    const lock = await locked('days_2');
    await held.release();
    expect(await pendingFailure(handle)).toContain(message);
    await lock.release();
    await expect(handle.result()).resolves.toMatchObject({ rows: 3000, restarts: 0 });
    await expectSameRows(lab, 'days', 'bronze.copied');
  });

  test('for good: the last attempt ends the run, and names it', async () => {
    const lock = await locked('days_2');
    const databases = connectDatabases(lab.configuration());
    const { planExtraction } = createActivities(databases);
    const attempt = (number: number) =>
      new MockActivityEnvironment({ attempt: number }, { logger: new DefaultLogger('ERROR', () => undefined) }).run(
        planExtraction,
        { runId: 'locked', workflowId: 'by hand', input: extractTableInput.parse(request) },
      ); // prettier-ignore
    const last = failurePolicies.LockTimeout.retry;
    const failure = { type: 'LockTimeout', message: expect.stringContaining(message) as unknown };
    await expect(attempt(last - 1)).rejects.toMatchObject({ ...failure, nonRetryable: false });
    await expect(attempt(last)).rejects.toMatchObject({ ...failure, nonRetryable: true });
    await lock.release();
    await databases.close();
  });

  test('that is not read is in nobody’s way', async () => {
    const lock = await locked('days_2');
    const partitions = { from: '2024-01-03', to: '2024-01-04' };
    const result = await lab.extract({ ...request, partitions, target: 'beside' });
    expect(result).toMatchObject({ partitions: 1, rows: 1000 });
    await lock.release();
    await expectSameRows(lab, 'days_3', 'bronze.beside');
  });
});

test('one that is dropped while an increment is planned has the run begin again without it', async () => {
  await lab.source.query(`CREATE TABLE shrinking (id int, day date) PARTITION BY RANGE (id);
    CREATE TABLE shrinking_1 PARTITION OF shrinking FOR VALUES FROM (0) TO (10);
    CREATE TABLE shrinking_2 PARTITION OF shrinking FOR VALUES FROM (10) TO (20);
    INSERT INTO shrinking SELECT i, '2024-01-01' FROM generate_series(1, 19) i`);
  const increment = { table: 'shrinking', incremental: { column: 'day' } } as const;
  await lab.extract(increment);
  await lab.source.query(`INSERT INTO shrinking VALUES (9, '2024-01-02'), (11, NULL)`);
  const dropping = await lab.connect('source');
  await dropping.query('BEGIN; DROP TABLE shrinking_2');
  const handle = await lab.start(increment);
  await untilWaitedFor(lab.source, 'shrinking_2');
  await dropping.query('COMMIT');
  await expect(handle.result()).resolves.toMatchObject({ restarts: 1, incremental: { nullCursors: 0 } });
  await expectSameRows(lab, 'shrinking', 'bronze.br_shrinking', { targetWhere: 'id < 10' });
});

test('a partition is locked by a run while its chunk is copied, and no longer', async () => {
  await lab.source.query(`CREATE TABLE parts (id int) PARTITION BY LIST (id);
    ${[1, 2, 3, 4].map((id) => `CREATE TABLE parts_${id} PARTITION OF parts FOR VALUES IN (${id});`).join('')}
    INSERT INTO parts VALUES (1), (2), (3), (4)`);
  const gate = await Gate.closed(lab);
  const handle = await lab.start({ table: 'parts', chunkSize: '8kB', parallelism: 1, where: 'gate(id = 2)' });
  const [pid] = await gate.reached();
  const { rows } = await lab.source.query(
    `SELECT relation::regclass::text AS name FROM pg_locks WHERE pid = $1 AND relation::regclass::text LIKE 'parts%'`,
    [pid],
  );
  expect(rows).toEqual([{ name: 'parts_2' }]);
  await gate.open();
  await expect(handle.result()).resolves.toMatchObject({ rows: 4, chunks: 4 });
  await expectSameRows(lab, 'parts', 'bronze.br_parts');
});

describe('with partitions that were chosen', () => {
  const partitions = { names: ['grown_1'] };
  const make = (table: string) => `CREATE TABLE ${table} (id int, v text) PARTITION BY RANGE (id);
    CREATE TABLE ${table}_1 PARTITION OF ${table} FOR VALUES FROM (0) TO (5000);
    CREATE TABLE ${table}_2 PARTITION OF ${table} FOR VALUES FROM (5000) TO (9000);
    INSERT INTO ${table} SELECT i, repeat('v', 200) FROM generate_series(1, 8000) i`;

  test('one that comes between plan and snapshot is asked about again', { tags: 'long' }, async () => {
    await using late = await Lab.open({ workers: 'none' });
    await late.source.query(make('grown'));
    await late.startWorkers({ only: 'copies' });
    const handle = await late.start({
      table: 'grown',
      chunkSize: '64kB',
      partitions: { patterns: ['grown_?'] },
    });
    await late.planned();
    await late.source.query(
      `CREATE TABLE grown_3 PARTITION OF grown FOR VALUES FROM (9000) TO (10000); INSERT INTO grown VALUES (9001, 'late')`,
    );
    await late.startWorkers({ only: 'snapshots' });
    await expect(handle.result()).resolves.toMatchObject({ rows: 8001, restarts: 1, partitions: 3 });
    await expectSameRows(late, 'grown', 'bronze.br_grown');
  });

  test(
    'the chosen one is dropped after the snapshot: the run begins again, and says that it is not there',
    { tags: 'long' },
    async () => {
      await lab.source.query(make('grown'));
      const held = await HeldCopies.hold(lab, 'before the first');
      const handle = await lab.start({ table: 'grown', chunkSize: '64kB', partitions });
      await held.reached();
      await lab.source.query('DROP TABLE grown_1');
      await held.release();
      await expect(handle.result()).rejects.toMatchObject({
        cause: {
          type: 'UndefinedObject',
          message: expect.stringContaining('has no partition "grown_1"') as unknown,
        },
      });
      expect(await lab.leftoversAtLast()).toEqual([]);
    },
  );

  test('one that is detached concurrently is part of the table no more', async () => {
    await lab.source.query(make('leaving'));
    // a reader keeps the detachment from completing
    const reader = await lab.connect('source');
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM leaving LIMIT 1');
    const detaching = await lab.connect('source');
    const detached = detaching.query('ALTER TABLE leaving DETACH PARTITION leaving_2 CONCURRENTLY');
    await expect
      .poll(async () => (await lab.source.query('SELECT FROM pg_inherits WHERE inhdetachpending')).rowCount)
      .toBe(1);
    await lab.extract({ table: 'leaving' });
    await expectSameRows(lab, 'leaving', 'bronze.br_leaving');
    await expectSameRows(lab, 'leaving_1', 'bronze.br_leaving');
    await reader.query('COMMIT');
    await detached;
  });
});
