import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import { leaveOneToCopyWith, readConnections } from '../../src/postgres/connections-left.ts';
import { Database } from '../../src/postgres/database.ts';
import type { Session } from '../../src/postgres/session.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { Lab } from '../setup/lab.ts';
import { pendingFailure } from '../setup/pending-failure.ts';
import { createExtractor } from '../setup/roles.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { startTestServer } from '../setup/test-server.ts';
import { waitUntil } from '../setup/wait-until.ts';

const ROWS = 5_000;

let small: PostgresServer;
let lab: Lab;
beforeAll(async () => {
  // one connection for each session that does the work, and a few reserved for the superuser
  small = await startTestServer({
    settings: {
      max_connections: '12',
      superuser_reserved_connections: '5',
      reserved_connections: '0',
    },
  });
  await createExtractor(small);
  lab = await Lab.open({
    workers: 'none',
    servers: { source: small.url('postgres'), warehouse: inject('warehouseAdmin') },
  });
  await lab.source.query(
    `CREATE TABLE orders AS SELECT i AS id, repeat('v', 100) AS v FROM generate_series(1, ${ROWS}) i`,
  );
  await lab.startWorkers();
});
afterAll(async () => {
  await lab.close();
  await small.dispose();
});

/** Takes all connections left for ordinary roles. */
async function takeAll(): Promise<Client[]> {
  const taken: Client[] = [];
  for (;;) {
    const client = new Client(lab.sourceUrl);
    client.on('error', () => undefined);
    try {
      await client.connect();
      taken.push(client);
    } catch {
      return taken;
    }
  }
}

describe('when others have all connections of the source', () => {
  test('a run waits, says so, and goes on when they are free again', async () => {
    const others = await takeAll();
    expect(others.length).toBeGreaterThan(0);
    const handle = await lab.start({ table: 'orders', chunkSize: '64kB' });
    const message = await pendingFailure(handle);
    expect(message).toMatch(
      /source "default": .*(remaining connection slots|too many clients).*SQLSTATE 53300/,
    );
    await Promise.all(others.map(async (client) => client.end()));
    await expect(handle.result()).resolves.toMatchObject({ rows: ROWS, restarts: 0 });
    await expectSameRows(lab, 'orders', 'bronze.br_orders');
  });

  test(
    'another limit of the configuration that others have used up is waited for in the same way',
    { tags: 'long' },
    async () => {
      await lab.source
        .query(`CREATE TABLE taken (); INSERT INTO taken DEFAULT VALUES; GRANT SELECT ON taken TO extractor;
      CREATE FUNCTION has_room() RETURNS boolean LANGUAGE plpgsql STABLE AS $$
      BEGIN
        IF EXISTS (SELECT FROM taken) THEN RAISE 'none is left' USING ERRCODE = '53400'; END IF;
        RETURN true;
      END $$`);
      const handle = await lab.start({ table: 'orders', target: 'roomy', where: 'has_room()' });
      expect(await pendingFailure(handle)).toContain('SQLSTATE 53400');
      await lab.source.query('TRUNCATE taken');
      await expect(handle.result()).resolves.toMatchObject({ rows: ROWS });
    },
  );

  test('in the middle of a run, its snapshot waits too', { tags: 'long' }, async () => {
    // a role with two sessions: the plan needs one, then the holder one and a copy one
    await lab.source.query('ALTER ROLE extractor CONNECTION LIMIT 2');
    await expect(
      lab.extract({ table: 'orders', target: 'limited', chunkSize: '64kB', parallelism: 2 }),
    ).resolves.toMatchObject({ rows: ROWS, restarts: 0 });
    await lab.source.query('ALTER ROLE extractor CONNECTION LIMIT -1');
    await expectSameRows(lab, 'orders', 'bronze.limited');
  });
});

describe('runs that may have few connections together', () => {
  test('count as many as they could open, by the limits of the server, of the database and of the role', async () => {
    await using database = disposable(
      new Database({ label: 'source "default"', settings: connectionTo(lab.sourceUrl) }),
    );
    const sessions = `SELECT FROM pg_stat_activity WHERE backend_type = 'client backend'`;
    await waitUntil(async () => (await lab.source.query(sessions)).rowCount === 1);
    const counted: number[] = [];
    const opened: number[] = [];
    const limits = [
      'ALTER ROLE extractor CONNECTION LIMIT -1',
      `ALTER DATABASE source_${lab.name} CONNECTION LIMIT 5`,
      'ALTER ROLE extractor CONNECTION LIMIT 2',
    ];
    for (const limit of limits) {
      await lab.source.query(limit);
      await database.read({}, async (session) => {
        counted.push((await readConnections(session)).free);
        const taken = await takeAll();
        opened.push(taken.length);
        await Promise.all(taken.map(async (client) => client.end()));
      });
      await waitUntil(async () => (await lab.source.query(sessions)).rowCount === 2);
    }
    await lab.source.query(`ALTER ROLE extractor CONNECTION LIMIT -1;
      ALTER DATABASE source_${lab.name} CONNECTION LIMIT -1`);
    // 12 of the server, of which 5 are reserved and a superuser has one; the session that counts is one of them
    expect({ counted, opened }).toEqual({ counted: [6, 4, 2], opened: [5, 3, 1] });
  });

  test('hold snapshots with all of them but one', async () => {
    const role = `narrow_${process.pid}`;
    const secret = 'extractor-secret';
    await administer(inject('sourceAdmin'), [
      `CREATE ROLE ${role} LOGIN PASSWORD '${secret}' CONNECTION LIMIT 3`,
    ]);
    const url = Object.assign(new URL(inject('sourceAdmin')), { username: role, password: secret });
    const settings = connectionTo(url.href);
    await using database = disposable(new Database({ label: 'source "default"', settings }));
    const holding = async (session: Session) => leaveOneToCopyWith(session, database.label);
    await using one = new Held(database, 'one', holding);
    await using two = new Held(database, 'two', holding);
    await Promise.all([one.taken, two.taken]);
    await expect(database.read({}, holding)).rejects.toMatchObject({ kind: 'TooManyConnections' });
    await two[Symbol.asyncDispose]();
    await using working = new Held(database, 'two');
    await working.taken;
    // the session that was refused is closed, but the server may not be done with it
    const admin = new Client(inject('sourceAdmin'));
    await admin.connect();
    const sessions = `SELECT FROM pg_stat_activity WHERE usename = '${role}'`;
    await waitUntil(async () => (await admin.query(sessions)).rowCount === 2);
    await admin.end();
    await expect(database.read({}, holding)).resolves.toBeUndefined();
    await Promise.all([one, working].map(async (held) => held[Symbol.asyncDispose]()));
    await administer(inject('sourceAdmin'), [`DROP ROLE ${role}`]);
  });

  test('all end, one after the other', { tags: 'long' }, async () => {
    await lab.source.query('ALTER ROLE extractor CONNECTION LIMIT 2');
    const targets = ['one', 'two', 'three'];
    const start = async (target: string) => lab.start({ table: 'orders', target, chunkSize: '256kB' });
    const runs = await Promise.all(targets.map(start));
    const results = await Promise.all(runs.map(async (run) => run.result()));
    await lab.source.query('ALTER ROLE extractor CONNECTION LIMIT -1');
    for (const result of results) expect(result).toMatchObject({ rows: ROWS, chunks: 4, restarts: 0 });
    for (const target of targets) await expectSameRows(lab, 'orders', `bronze.${target}`);
  });
});

describe('a pool', () => {
  test('that is smaller than the copies at once is shared by them', { tags: 'long' }, async () => {
    await using narrow = await Lab.open({ workers: 'none' });
    await narrow.source.query(`CREATE TABLE orders AS SELECT i AS id FROM generate_series(1, ${ROWS}) i`);
    const environment = {
      SOURCE_PG_POOL_SIZE: '1',
      SOURCE_PG_POOL_MAX_OVERFLOW: '0',
      WAREHOUSE_PG_POOL_SIZE: '2',
      WAREHOUSE_PG_POOL_MAX_OVERFLOW: '0',
    };
    await narrow.startWorkers({ environment });
    await expect(
      narrow.extract({ table: 'orders', chunkSize: '8kB', parallelism: 6 }),
    ).resolves.toMatchObject({
      rows: ROWS,
    });
    await expectSameRows(narrow, 'orders', 'bronze.br_orders');
  });

  test('whose sessions are all in use says who has them', async () => {
    const settings = connectionTo(inject('sourceAdmin'), {
      SOURCE_PG_POOL_SIZE: '1',
      SOURCE_PG_POOL_MAX_OVERFLOW: '1',
      SOURCE_PG_POOL_TIMEOUT: '200ms',
    });
    await using database = disposable(new Database({ label: 'source "default"', settings }));
    const held = [new Held(database, 'one'), new Held(database, 'two')];
    await Promise.all(held.map(async ({ taken }) => taken));
    await expect(database.write({ run: 'three' }, async () => undefined)).rejects.toThrow(
      /^source "default": no session became free within 200 ms; all 2 are in use: 1 by datakit-postgres-extractor\/one for up to \S+ \S+, 1 by datakit-postgres-extractor\/two/,
    );
    await Promise.all(held.map(async (one) => one[Symbol.asyncDispose]()));
  });

  test('keeps as many sessions open as its size, and closes what was more', async () => {
    const name = `pool-${process.pid}`;
    const settings = connectionTo(inject('sourceAdmin'), {
      SOURCE_PG_POOL_SIZE: '1',
      SOURCE_PG_POOL_MAX_OVERFLOW: '2',
    });
    await using database = disposable(new Database({ label: 'source "default"', settings }));
    const held = Array.from({ length: 3 }, () => new Held(database, name));
    const pids = await Promise.all(held.map(async ({ taken }) => taken));
    const client = new Client(inject('sourceAdmin'));
    await client.connect();
    const open = async (): Promise<number> =>
      (await client.query('SELECT FROM pg_stat_activity WHERE pid = ANY ($1)', [pids])).rowCount ?? 0;
    expect(await open()).toBe(3);
    await Promise.all(held.map(async (one) => one[Symbol.asyncDispose]()));
    await waitUntil(async () => (await open()) === 1);
    await client.end();
  });
});

/** A transaction that lasts until it is released. */
class Held {
  readonly taken: Promise<number>;
  readonly #done: Promise<void>;
  #release: () => void = () => undefined;

  constructor(
    database: Database,
    run: string,
    first = async (_session: Session): Promise<void> => undefined,
  ) {
    let tell: (processId: number) => void = () => undefined;
    this.taken = new Promise((resolve) => (tell = resolve));
    const released = new Promise<void>((resolve) => (this.#release = resolve));
    this.#done = database.write({ run }, async (session) => {
      await first(session);
      tell(session.cancellable.processId);
      await released;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#release();
    await this.#done;
  }
}

function disposable(database: Database): Database & AsyncDisposable {
  return Object.assign(database, { [Symbol.asyncDispose]: async () => database.close() });
}
