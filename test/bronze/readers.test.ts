import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { describeReaders } from '../../src/bronze/readers.ts';
import { Database } from '../../src/postgres/database.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { Lab } from '../setup/lab.ts';
import { pendingFailure } from '../setup/pending-failure.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(
    `CREATE TABLE users (id int, v text); INSERT INTO users SELECT i, 'v' FROM generate_series(1, 20000) i`,
  );
  await lab.extract({ table: 'users' });
});
afterAll(async () => lab.close());

const SUMMARY = `SELECT count(*)::int AS rows, min(_bronze_run_id) AS first, max(_bronze_run_id) AS last,
  min(v) AS low, max(v) AS high FROM bronze.br_users`;

interface Summary {
  readonly rows: number;
  readonly first: string;
  readonly last: string;
  readonly low: string;
  readonly high: string;
}

async function summary(reader: Client): Promise<Summary> {
  const { rows } = await reader.query<Summary>(SUMMARY);
  if (rows[0] === undefined) throw new Error('no answer');
  return rows[0];
}

/** Reads repeatedly until the promise settles, and returns the milliseconds of the slowest read. */
async function longestRead(reader: Client, until: Promise<unknown>): Promise<number> {
  const settled = new AbortController();
  void until.finally(() => settled.abort());
  let longest = 0;
  while (!settled.signal.aborted) {
    const start = Date.now();
    await summary(reader);
    longest = Math.max(longest, Date.now() - start);
  }
  return longest;
}

describe('readers of a bronze table', () => {
  test('see all rows of one run or all of another, whenever they look', async () => {
    const done = new AbortController();
    const seen: Summary[] = [];
    const watch = async (read: (reader: Client) => Promise<Summary>) => {
      const reader = await lab.connect('warehouse');
      while (!done.signal.aborted) seen.push(await read(reader));
    };
    const watchers = [
      watch(summary),
      watch(async (reader) => {
        await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
        const first = await summary(reader);
        expect(await summary(reader)).toEqual(first);
        await reader.query('COMMIT');
        return first;
      }),
      watch(
        async (reader) =>
          (await reader.query<Summary>({ name: 'prepared', text: SUMMARY })).rows[0] as Summary,
      ),
    ];
    const runs: string[] = [(await summary(lab.warehouse)).first];
    for (const v of ['a', 'b', 'c', 'd']) {
      await lab.source.query(`DELETE FROM users WHERE id % 10 = 1; UPDATE users SET v = '${v}'`);
      runs.push((await lab.extract({ table: 'users', chunkSize: '256kB' })).runId);
    }
    done.abort();
    await Promise.all(watchers);
    const kinds = new Set(
      seen.map(({ rows, first, last, low, high }) => JSON.stringify([rows, first, last, low, high])),
    );
    expect(kinds.size).toBeLessThanOrEqual(runs.length);
    expect(new Set(seen.map(({ last }) => last)).size).toBeGreaterThan(2);
    for (const { rows, first, last, low, high } of seen) {
      expect(rows).toBeGreaterThan(0);
      expect(last).toBe(first);
      expect(high).toBe(low);
    }
  });

  test('with a snapshot from before the new rows are waited for, by name, and never find the table empty', async () => {
    const reader = await lab.connect('warehouse', 'loader');
    await reader.query(
      `SET application_name = 'monthly report'; BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1`,
    );
    const handle = await lab.start({ table: 'users' });
    const message = await pendingFailure(handle);
    const { rows } = await reader.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    expect(message).toContain(`process ${rows[0]?.pid}`);
    expect(message).toContain('monthly report');
    expect((await summary(reader)).rows).toBeGreaterThan(0);
    await reader.query('COMMIT');
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'committed' });
  });

  test(
    'with such a snapshot are waited for, too, where they do not show what they do',
    { tags: 'long' },
    async () => {
      await lab.warehouse.query(`ALTER DATABASE warehouse_${lab.name} SET track_activities = off`);
      const untracked = await lab.connect('warehouse');
      await lab.warehouse.query(`ALTER DATABASE warehouse_${lab.name} RESET track_activities`);
      await untracked.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
      const handle = await lab.start({ table: 'users' });
      expect(await pendingFailure(handle)).toContain('an older snapshot is open');
      expect((await summary(untracked)).rows).toBeGreaterThan(0);
      await untracked.query('COMMIT');
      await expect(handle.result()).resolves.toMatchObject({ outcome: 'committed' });
    },
  );

  testVariants([
    [
      'another run',
      'advisory',
      (bronze: string) => `SELECT pg_advisory_xact_lock(hashtextextended('${bronze}', 0))`,
    ],
    ['another reader', 'relation', (bronze: string) => `SELECT FROM ${bronze} LIMIT 1`],
  ])('with a snapshot from while a small table waits for %s do not find it empty', async ([, wait, use]) => {
    const { table, bronze } = lab.nextTable();
    await lab.source.query(`CREATE TABLE ${table} AS SELECT generate_series(1, 9) AS id`);
    await lab.extract({ table });
    const other = await lab.connect('warehouse');
    const reader = await lab.connect('warehouse');
    await other.query(`BEGIN; ${use(bronze)}`);
    const handle = await lab.start({ table });
    await waitUntil(async () => {
      const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = '${wait}'`;
      return (await lab.warehouse.query(waiting)).rowCount === 1;
    });
    await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
    await other.query('COMMIT');
    const inTheWay = pendingFailure(handle).catch(String);
    await Promise.race([handle.result(), inTheWay]);
    const { rows } = await reader.query<{ rows: number }>(`SELECT count(*)::int AS rows FROM ${bronze}`);
    expect(rows).toEqual([{ rows: 9 }]);
    expect(await inTheWay).toContain('an older snapshot is open');
    await reader.query('COMMIT');
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'committed' });
  });

  test(
    'wait no longer than the lock timeout behind a commit that waits for another reader',
    { tags: 'long' },
    async () => {
      const slow = await lab.connect('warehouse', 'loader');
      const quick = await lab.connect('warehouse');
      await slow.query(`SET application_name = 'slow reader'; BEGIN; SELECT FROM bronze.br_users LIMIT 1`);
      const handle = await lab.start({ table: 'users' });
      const failure = pendingFailure(handle);
      const longest = await longestRead(quick, failure);
      expect(await failure).toContain('slow reader');
      expect(longest).toBeLessThan(3_000);
      await slow.query('COMMIT');
      await expect(handle.result()).resolves.toMatchObject({ outcome: 'committed' });
    },
  );

  test('wait for nothing while somebody looks into the staging table', { tags: 'long' }, async () => {
    const looking = await lab.connect('warehouse');
    const quick = await lab.connect('warehouse');
    await lab.warehouse.query('BEGIN; LOCK TABLE bronze.extraction_chunks IN ACCESS EXCLUSIVE MODE');
    const handle = await lab.start({ table: 'users' });
    let staging = '';
    while (staging === '') {
      const { rows } = await looking.query<{ name: string }>(
        `SELECT oid::regclass AS name FROM pg_class WHERE relnamespace = 'bronze_staging'::regnamespace AND relkind = 'r'`,
      );
      staging = rows[0]?.name ?? '';
    }
    await looking.query(`SET application_name = 'a dump'; BEGIN; SELECT FROM ${staging} LIMIT 1`);
    await lab.warehouse.query('COMMIT');
    const failure = pendingFailure(handle);
    const longest = await longestRead(quick, failure);
    expect(await failure).toContain('a dump');
    expect(longest).toBeLessThan(1_000);
    await looking.query('COMMIT');
    await expect(handle.result()).resolves.toMatchObject({ outcome: 'committed' });
  });
});

test('who uses the table of the same OID in a copy of the warehouse is not in the way', async () => {
  const [original, copy] = [`original_${lab.name}`, `copy_${lab.name}`];
  const admin = inject('warehouseAdmin');
  const urlOf = (database: string) => Object.assign(new URL(admin), { pathname: `/${database}` }).href;
  await administer(admin, [`CREATE DATABASE ${original}`]);
  await administer(urlOf(original), ['CREATE SCHEMA bronze; CREATE TABLE bronze.br_t (id int)']);
  await administer(admin, [`CREATE DATABASE ${copy} TEMPLATE ${original}`]);
  const users = [new Client(urlOf(original)), new Client(urlOf(copy))];
  for (const user of users) {
    await user.connect();
    await user.query(`SET application_name = '${user.database}'; BEGIN; SELECT FROM bronze.br_t`);
  }
  const database = new Database({ label: 'warehouse', settings: connectionTo(urlOf(original)) });
  const table = { schema: 'bronze', name: 'br_t' };
  const { message } = await database.read({}, async (session) => describeReaders(session, table, table));
  await database.close();
  for (const user of users) await user.end();
  await administer(admin, [`DROP DATABASE ${original}`, `DROP DATABASE ${copy}`]);
  expect(message).toContain(`(${original}, `);
  expect(message).not.toContain(copy);
});
