import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Database } from '../../src/postgres/database.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { Gate } from '../setup/gate.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { Steps } from '../setup/steps.ts';
import { waitUntil } from '../setup/wait-until.ts';

const ROWS = 3_000;
/** Takes seconds over all rows, and no time to plan. */
const SLOW = 'pg_sleep(0.001) IS NOT NULL';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source
    .query(`CREATE TABLE orders AS SELECT i AS id, repeat('v', 100) AS v FROM generate_series(1, ${ROWS}) i;
    CREATE VIEW seen AS TABLE orders;
    CREATE VIEW sorted AS SELECT * FROM orders ORDER BY md5(v || id)`);
});
afterAll(async () => lab.close());

/** Returns the failure of an extraction as text, or `nothing failed`. */
async function failureOf(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'nothing failed',
    (error: unknown) => String(error),
  );
}

describe('time that runs out is told with what was done, and the setting', () => {
  test('of a statement, as the input says', async () => {
    await using steps = new Steps(lab);
    const plan = await steps.plan({
      table: 'orders',
      statementTimeout: '100ms',
      where: SLOW,
      target: 'limited',
    });
    const message = await failureOf(steps.copy(plan, 0));
    expect(message).toMatch(
      /While copying chunk 0 of public.orders: source "default": canceling statement due to statement timeout/,
    );
    expect(message).toContain('it ran into statement_timeout, 100 ms');
  });

  test('of a statement, as the environment says', async () => {
    const environment = { SOURCE_PG_OPTIONS: '-c statement_timeout=150 -c lock_timeout=10000' };
    await using steps = new Steps(lab, { environment });
    const plan = await steps.plan({ table: 'orders', where: SLOW, target: 'optioned' });
    const message = await failureOf(steps.copy(plan, 0));
    expect(message).toMatch(
      /it ran into statement_timeout, which the options of the connection, .* set\. Raise it there/,
    );
  });

  test('of a lock', async () => {
    await using steps = new Steps(lab);
    const plan = await steps.plan({ table: 'orders', lockTimeout: '100ms', target: 'locked' });
    const keeper = await lab.connect('source');
    await keeper.query('BEGIN; LOCK TABLE orders');
    const message = await failureOf(steps.copy(plan, 0));
    await keeper.query('ROLLBACK');
    expect(message).toMatch(
      /public\.orders is locked by another session of the source: it ran into lock_timeout, 100 ms/,
    );
  });

  test('of a session that hangs within a transaction, which the server then ends', async () => {
    const database = new Database({ label: 'source "default"', settings: connectionTo(lab.sourceUrl) });
    const limits = { idleTimeout: 200 };
    const hanging = database.write(limits, async (session) => {
      const ended = async () =>
        (
          await lab.source.query('SELECT FROM pg_stat_activity WHERE pid = $1', [
            session.cancellable.processId,
          ])
        ).rowCount === 0;
      await waitUntil(ended);
      await session.query('SELECT 1');
    });
    await expect(hanging).rejects.toMatchObject({
      kind: 'ConnectionLost',
      message: expect.stringMatching(/it ran into idle_in_transaction_session_timeout, 200 ms/) as string,
    });
    await database.close();
  });

  test('and a limit of whole transactions on the role ends no copy', async () => {
    const name = `source_${lab.name}`;
    await lab.source.query(`ALTER ROLE extractor IN DATABASE ${name} SET transaction_timeout = '200ms'`);
    await using steps = new Steps(lab);
    const plan = await steps.plan({
      table: 'orders',
      where: 'id > 1 OR pg_sleep(0.5) IS NOT NULL',
      target: 'long',
    });
    await expect(steps.copy(plan, 0)).resolves.toMatchObject({ rows: ROWS });
    await lab.source.query(`ALTER ROLE extractor IN DATABASE ${name} RESET ALL`);
  });
});

test('the limit of temporary files is told, and not waited for', async () => {
  const role = `ALTER ROLE extractor IN DATABASE source_${lab.name}`;
  await lab.source.query(`${role} SET temp_file_limit = '64kB'; ${role} SET work_mem = '64kB'`);
  await using steps = new Steps(lab);
  const plan = await steps.plan({ table: 'sorted', target: 'sorted' });
  const failed = await steps.copy(plan, 0).catch((error: unknown) => error);
  await lab.source.query(`${role} RESET ALL`);
  expect(failed).toMatchObject({ type: 'OutOfMemory' });
  expect(String(failed)).toMatch(/temporary file size exceeds "temp_file_limit".*SQLSTATE 53400.*"work_mem"/);
});

describe('settings of the sessions that read', () => {
  /** Returns a condition that is true only if the settings have these values. */
  const are = (settings: Record<string, string>): string =>
    Object.entries(settings)
      .map(([name, value]) => `current_setting('${name}') = '${value}'`)
      .join(' AND ');

  test('are those of the input, of a profile, and no others', async () => {
    const where = are({
      work_mem: '1GB',
      jit: 'off',
      random_page_cost: '1.1',
      effective_io_concurrency: '200',
      max_parallel_workers_per_gather: '4',
      idle_in_transaction_session_timeout: '10s',
      TimeZone: 'UTC',
    });
    const result = await lab.extract({
      table: 'orders',
      target: 'tuned',
      where,
      tuning: 'guide',
      session: { work_mem: '1 GB', jit: false },
      idleTimeout: '10 seconds',
    });
    expect(result.rows).toBe(ROWS);
    expect(await lab.extract({ table: 'orders', target: 'untuned', where })).toMatchObject({ rows: 0 });
  });

  test('are refused by the server before anything is copied', async () => {
    await using steps = new Steps(lab);
    const message = await failureOf(
      steps.plan({ table: 'orders', session: { min_parallel_table_scan_size: '9999TB' } }),
    );
    expect(message).toMatch(
      /source "default" refused a setting of "session": .*min_parallel_table_scan_size/,
    );
  });
});

describe('analyze', () => {
  const analyzed = async (): Promise<number | null> =>
    (await lab.source.query("SELECT 1 FROM pg_stats WHERE tablename = 'orders'")).rowCount;

  test('needs the privilege, and says so', async () => {
    await using steps = new Steps(lab);
    const message = await failureOf(steps.plan({ table: 'orders', analyze: true }));
    expect(message).toContain(
      'the role may not analyze public.orders (MAINTAIN is missing). Ask somebody who may to run: GRANT MAINTAIN ON "public"."orders" TO "extractor"',
    );
    expect(await analyzed()).toBe(0);
  });

  test('is done before the plan', async () => {
    await lab.source.query('GRANT MAINTAIN ON orders TO extractor');
    await using steps = new Steps(lab);
    await steps.plan({ table: 'orders', analyze: true, target: 'analyzed' });
    expect(await analyzed()).toBeGreaterThan(0);
  });

  test('of a partitioned table needs the privilege on its partitions too, which PostgreSQL would skip', async () => {
    await lab.source.query(`CREATE TABLE parted (id int) PARTITION BY RANGE (id);
      CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);
      INSERT INTO parted VALUES (1); GRANT MAINTAIN ON parted TO extractor`);
    await using steps = new Steps(lab);
    const plan = async () => steps.plan({ table: 'parted', analyze: true });
    expect(await failureOf(plan())).toContain(
      'the role may not analyze public.parted_1 (MAINTAIN is missing). Ask somebody who may to run: GRANT MAINTAIN ON "public"."parted_1" TO "extractor"',
    );
    await lab.source.query('GRANT MAINTAIN ON parted_1 TO extractor');
    await plan();
    const { rows } = await lab.source.query(`SELECT reltuples FROM pg_class WHERE relname = 'parted_1'`);
    expect(rows).toEqual([{ reltuples: 1 }]);
  });

  test('is not for views', async () => {
    await using steps = new Steps(lab);
    expect(await failureOf(steps.plan({ table: 'seen', analyze: true }))).toContain(
      'public.seen is a view, which has no statistics of its own',
    );
  });
});

/** Counts the sessions of runs on the source. */
async function sessions(): Promise<number> {
  const { rows } = await lab.source.query<{ sessions: number }>(
    `SELECT count(*)::int AS sessions FROM pg_stat_activity
      WHERE application_name LIKE 'datakit-postgres-extractor/%' AND datname = current_database()`,
  );
  return rows[0]?.sessions ?? 0;
}

test('no more sessions than the run may have, however many copies it wants', async () => {
  const gate = await Gate.closed(lab);
  const handle = await lab.start({
    table: 'orders',
    target: 'few',
    chunkSize: '32kB',
    parallelism: 8,
    maxSourceConnections: 3,
    where: 'gate(id % 100 = 0)',
  });
  await gate.reached(1);
  await handle.executeUpdate('setParallelism', { args: [16] });
  expect(await handle.query('progress')).toMatchObject({ parallelism: 1 });
  expect(await sessions()).toBe(2);
  await gate.open();
  await expect(handle.result()).resolves.toMatchObject({ rows: ROWS, restarts: 0 });
  await expectSameRows(lab, 'orders', 'bronze.few');
});

test('nor of a whole database, however many tables it has', { tags: 'long' }, async () => {
  const gate = await Gate.closed(lab);
  await lab.source.query(`CREATE SCHEMA spared;
    CREATE TABLE spared.big (id int, filler text); ALTER TABLE spared.big ALTER filler SET STORAGE PLAIN;
    INSERT INTO spared.big SELECT i, repeat('x', 1900) FROM generate_series(1, 9500) i`);
  for (let number = 1; number <= 8; number += 1)
    await lab.source.query(`CREATE TABLE spared.small_${number} AS SELECT 1 AS id`);
  // the run before gives its snapshot back a moment after it has ended
  await expect.poll(sessions).toBe(0);
  const handle = await lab.startDatabase({
    tables: ['spared.*'],
    parallelism: 8,
    maxSourceConnections: 3,
    defaults: { where: 'gate(id = 1)' },
  });
  await gate.reached(2);
  await handle.executeUpdate('setParallelism', { args: [10] });
  expect(await sessions()).toBe(3);
  await gate.open();
  await expect(handle.result()).resolves.toMatchObject({ outcome: 'complete', committed: 9, restarts: 0 });
  await expectSameRows(lab, 'spared.big', 'bronze.br_spared__big');
});

test('no more bytes in a second than the run may read', async () => {
  const began = performance.now();
  const { bytes } = await lab.extract({
    table: 'orders',
    target: 'slow',
    chunkSize: '64kB',
    parallelism: 2,
    maxBytesPerSecond: '256kB',
  });
  // the contents of a buffer pass before they are counted
  expect(performance.now() - began).toBeGreaterThan(((bytes - 2 * 64 * 1024) / (256 * 1024)) * 1000);
  await expectSameRows(lab, 'orders', 'bronze.slow');
});

test('outside of its hours a run waits, and asks the source for nothing', async () => {
  const hours = (offset: number): string =>
    new Date(Date.now() + offset * 3_600_000).toISOString().slice(11, 16);
  const handle = await lab.start({
    table: 'orders',
    target: 'nightly',
    quietHours: { from: hours(2), to: hours(3) },
  });
  await expect.poll(async () => handle.query('progress')).toMatchObject({ phase: 'waiting' });
  const { raw } = await handle.describe();
  expect(raw.pendingActivities ?? []).toEqual([]);
  await handle.cancel();
  await expect(handle.result()).rejects.toThrow('Workflow execution cancelled');
  const within = { from: hours(-1), to: hours(1) };
  expect(await lab.extract({ table: 'orders', target: 'daily', quietHours: within })).toMatchObject({
    rows: ROWS,
  });
});
