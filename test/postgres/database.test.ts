import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { applicationName } from '../../src/postgres/application-name.ts';
import { Database } from '../../src/postgres/database.ts';
import type { SessionLimits } from '../../src/postgres/session-settings.ts';
import { connectionTo, poolOf } from '../setup/connection-to.ts';
import { waitUntil } from '../setup/wait-until.ts';

const writing = { run: `database test ${process.pid}` };
const APPLICATION = applicationName(writing.run);

let admin: Client;
let database: Database;
beforeAll(async () => {
  admin = new Client(inject('warehouseAdmin'));
  await admin.connect();
  database = new Database({
    label: 'warehouse',
    settings: connectionTo(inject('warehouseAdmin'), poolOf(1)),
  });
});
afterAll(async () => {
  await database.close();
  await admin.end();
});

async function states(): Promise<string[]> {
  const { rows } = await admin.query<{ state: string }>(
    'SELECT state FROM pg_stat_activity WHERE application_name = $1',
    [APPLICATION],
  );
  return rows.map(({ state }) => state);
}

describe('a transaction', () => {
  test('leaves none of its settings to the next one in its session', async () => {
    const look = async (limits: SessionLimits) =>
      database.write({ ...writing, ...limits }, async (session) =>
        session.one(`SELECT pg_backend_pid() AS pid, current_setting('work_mem') AS memory,
          current_setting('statement_timeout') AS timeout, current_setting('lock_timeout') AS lock`),
      );
    const before = await look({});
    const limits = { settings: { work_mem: '77MB' }, statementTimeout: 78_000, lockTimeout: 79_000 };
    const within = { memory: '77MB', timeout: '78s', lock: '79s' };
    expect(await look(limits)).toEqual({ ...before, ...within });
    expect(await look({})).toEqual(before);
  });

  test('has the server ask whether the worker is still there', async () => {
    const asking = await database.write(writing, async (session) =>
      session.one(`SELECT current_setting('tcp_keepalives_idle') AS idle,
                          current_setting('tcp_keepalives_interval') AS pause`),
    );
    expect(asking).toEqual({ idle: '600', pause: '30' });
  });

  test('that is aborted ends on the server too, and leaves its session to nobody', async () => {
    const cancelling = new AbortController();
    const working = database.write({ ...writing, signal: cancelling.signal }, async (session) =>
      session.query('SELECT pg_sleep(30)'),
    );
    await waitUntil(async () => (await states()).includes('active'));
    cancelling.abort(new Error('stop'));
    await expect(working).rejects.toThrow('stop');
    await waitUntil(async () => (await states()).length === 0);
  });

  test('that is aborted before its server has read the statement ends there all the same', async () => {
    const cancelling = new AbortController();
    let pid = 0;
    const working = database.write({ ...writing, signal: cancelling.signal }, async (session) => {
      pid = session.cancellable.processId;
      process.kill(pid, 'SIGSTOP');
      await session.query('SELECT pg_sleep(30)');
    });
    await waitUntil(async () => pid > 0);
    cancelling.abort(new Error('stop'));
    await Promise.all([
      expect(working).rejects.toThrow('stop'),
      sleep(50).then(() => process.kill(pid, 'SIGCONT')),
    ]);
    await waitUntil(async () => (await states()).length === 0, 5_000);
  });

  test('that is aborted while its server hangs is over all the same, and on the server once it goes on', async () => {
    const cancelling = new AbortController();
    let pid = 0;
    const working = database.write({ ...writing, signal: cancelling.signal }, async (session) => {
      pid = session.cancellable.processId;
      process.kill(pid, 'SIGSTOP');
      await session.query('SELECT 1');
    });
    try {
      await waitUntil(async () => pid > 0);
      cancelling.abort(new Error('stop'));
      await expect(working).rejects.toThrow('stop');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await waitUntil(async () => (await states()).length === 0);
  });

  test('that is aborted while it waits for a session never begins', async () => {
    const cancelling = new AbortController();
    let release = () => {};
    const first = database.write(writing, async () => new Promise<void>((resolve) => (release = resolve)));
    await waitUntil(async () => (await states()).length === 1);
    let began = false;
    const second = database.write({ ...writing, signal: cancelling.signal }, async () => {
      began = true;
    });
    await sleep(50);
    cancelling.abort(new Error('stop'));
    release();
    await expect(second).rejects.toThrow('stop');
    await first;
    expect(began).toBe(false);
  });

  test('that is aborted between two statements starts no other and commits nothing', async () => {
    await admin.query('CREATE TABLE between_statements (id int)');
    const cancelling = new AbortController();
    const working = database.write({ ...writing, signal: cancelling.signal }, async (session) => {
      await session.query('INSERT INTO public.between_statements VALUES (1)');
      cancelling.abort(new Error('stop'));
      await sleep(50);
    });
    await expect(working).rejects.toThrow('stop');
    expect((await admin.query('TABLE between_statements')).rows).toEqual([]);
  });

  test('is not said to have failed where that of another database did', async () => {
    const source = new Database({
      label: 'source "default"',
      settings: connectionTo(inject('sourceAdmin'), poolOf(1)),
    });
    const failing = database.write(writing, async (target) => {
      await target.query('SET TRANSACTION READ ONLY');
      return source.read({}, async () => target.query('CREATE TABLE never ()'));
    });
    await expect(failing).rejects.toMatchObject({
      kind: 'ReadOnlyServer',
      message: expect.stringMatching(/^warehouse: cannot execute CREATE TABLE/) as string,
    });
    await source.close();
  });

  test('leaves nothing that conditions and views have set, neither to itself nor to the next one', async () => {
    const look = `SELECT current_setting('work_mem') AS memory, current_setting('search_path') AS path`;
    const settings = ['work_mem', 'search_path'].map((name) => `set_config('${name}', '77MB', false)`);
    const ask = async (set: boolean) =>
      database.read(writing, async (session) => {
        const within = async () => session.one(set ? `SELECT ${settings.join(', ')}` : look);
        return [await session.withRolePath(within), await session.one(look)];
      });
    const [byRole, own] = await ask(false);
    expect(own).toMatchObject({ path: '""' });
    expect(byRole).toMatchObject({ path: '"$user", public' });
    expect((await ask(true))[1]).toEqual(own);
    expect(await ask(false)).toEqual([byRole, own]);
  });

  test('whose session is ended by the server is a lost connection, and the next has a new one', async () => {
    const working = database.write(writing, async (session) => {
      await admin.query('SELECT pg_terminate_backend($1)', [session.cancellable.processId]);
      await session.query('SELECT 1');
    });
    await expect(working).rejects.toMatchObject({ kind: 'ConnectionLost' });
    await expect(
      database.write(writing, async (session) => session.query('SELECT 1 AS one')),
    ).resolves.toEqual([{ one: 1 }]);
  });

  test('sees what was committed while it waited, whatever isolation its role is set to', async () => {
    await admin.query(`CREATE ROLE strict LOGIN PASSWORD 'strict'; ALTER ROLE strict SET default_transaction_isolation = 'serializable';
      CREATE TABLE seen (id int); GRANT ALL ON seen TO strict`);
    const url = new URL(inject('warehouseAdmin'));
    Object.assign(url, { username: 'strict', password: 'strict' });
    const strict = new Database({ label: 'warehouse', settings: connectionTo(url.href) });
    const seen = await strict.write(writing, async (session) => {
      await session.query('INSERT INTO public.seen VALUES (1)');
      await admin.query('INSERT INTO seen VALUES (2)');
      return session.query('TABLE public.seen ORDER BY id');
    });
    await strict.close();
    expect(seen).toEqual([{ id: 1 }, { id: 2 }]);
  });

  test('that fails within one of another database is told by its own name', async () => {
    const source = new Database({
      label: 'source',
      settings: connectionTo(inject('sourceAdmin'), poolOf(1)),
    });
    const statement = `SELECT 'row-value'::int`;
    const working = database.write(writing, async (session) =>
      source.read({}, async () => session.query(statement)),
    );
    await expect(working).rejects.toThrow(/^warehouse: a value does not fit \(SQLSTATE 22P02\)$/);
    const reading = database.write(writing, async () =>
      source.read({}, async (session) => session.query(statement)),
    );
    await expect(reading).rejects.toThrow(/^source: a value does not fit \(SQLSTATE 22P02\)$/);
    const asking = database.write(writing, async (session) =>
      source.read({}, async () => session.one('SELECT WHERE false')),
    );
    await expect(asking).rejects.toThrow(/^warehouse: the statement returned no row$/);
    await source.close();
  });

  test('that gives its session back leaves no setting on it', async () => {
    const ask = async (session: { query(text: string): Promise<unknown> }) =>
      session.query(
        `SELECT current_setting('lock_timeout') AS lock, current_setting('application_name') AS name`,
      );
    const inside = await database.write({ ...writing, lockTimeout: 1234 }, ask);
    expect(inside).toEqual([{ lock: '1234ms', name: APPLICATION }]);
    const { rows } = await admin.query(
      `SELECT application_name FROM pg_stat_activity WHERE query = 'COMMIT' AND state = 'idle'`,
    );
    expect(rows).toContainEqual({ application_name: 'datakit-postgres-extractor' });
  });
});
