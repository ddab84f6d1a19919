import { execFile } from 'node:child_process';
import { connect, createServer, type Server } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import {
  checkSourceInput,
  type CheckSourceRequest,
  type CheckSourceResult,
  type Finding,
} from '../../src/contract/check-source.ts';
import type { checkSource } from '../../src/workflows/index.ts';
import { checkRoute } from '../../src/extraction/check/check-route.ts';
import { serverChecks } from '../../src/extraction/check/check-server.ts';
import { checkSource as lookAt } from '../../src/extraction/check/check-source.ts';
import { Database } from '../../src/postgres/database.ts';
import { connectDatabases } from '../../src/runtime/connect-databases.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { Lab, withDatabase, type Told } from '../setup/lab.ts';
import { grantsOnWarehouse } from '../setup/roles.ts';
import { TcpProxy } from '../setup/tcp-proxy.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source
    .query(`CREATE TABLE orders (id int PRIMARY KEY, v text); INSERT INTO orders VALUES (1, 'v'); ANALYZE orders;
    CREATE TABLE notes (id int, v text);
    CREATE TABLE private AS SELECT 1 AS id; ALTER TABLE private ENABLE ROW LEVEL SECURITY;
    CREATE TABLE events (id int) PARTITION BY RANGE (id);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (9); INSERT INTO events VALUES (1);
    CREATE ROLE bare_${lab.name} LOGIN PASSWORD 'reader-secret' CONNECTION LIMIT 5`);
  await lab.warehouse
    .query(`CREATE ROLE bare_${lab.name} LOGIN PASSWORD 'reader-secret'`)
    .catch(() => undefined);
});
afterAll(async () => {
  await lab.close();
});

let runs = 0;
async function check(request?: CheckSourceRequest): Promise<CheckSourceResult> {
  runs += 1;
  return lab.temporal.workflow.execute<typeof checkSource>('checkSource', {
    taskQueue: lab.taskQueue,
    workflowId: `check-${lab.name}-${runs}`,
    args: request === undefined ? [] : [request],
  });
}

/** Checks without Temporal, like a worker with a different environment. */
async function checkAs(told: Told, request: CheckSourceRequest = {}): Promise<CheckSourceResult> {
  const databases = connectDatabases(lab.configuration(told));
  const { warehouse } = databases;
  try {
    return await lookAt(checkSourceInput.parse(request), {
      source: databases.sourceNamed('default'),
      warehouse,
    });
  } finally {
    await databases.close();
  }
}

function as(url: string, username: string, password = 'reader-secret'): string {
  return Object.assign(new URL(url), { username, password }).href;
}

const finding = ({ findings }: CheckSourceResult, name: string): Finding | undefined =>
  findings.find((one) => one.check === name);

describe('checkSource', () => {
  test('finds a source and a warehouse that runs can be expected to succeed with', async () => {
    const result = await check({ tables: ['orders'] });
    expect(result).toMatchObject({ source: 'default', ok: true, problems: 0 });
    expect(result.findings.map((one) => [one.check, one.state])).toEqual([
      ['connection to the source "default"', 'ok'],
      ['encryption', 'ok'],
      ['route', 'ok'],
      ['version', 'ok'],
      ['role', 'ok'],
      ['transactions of others', 'ok'],
      ['replica', 'ok'],
      ['timeouts', 'ok'],
      ['connections', 'ok'],
      ['change data capture', 'ok'],
      // other tests leave slots on the same server
      ['slots', expect.stringMatching(/ok|warning/)],
      ['table public.orders', 'ok'],
      ['clocks', 'ok'],
      ['connection to the warehouse', 'ok'],
      ['rights in the warehouse', 'ok'],
      ['readers of the warehouse', 'ok'],
      ['encoding of the warehouse', 'ok'],
      ['room in the warehouse', 'ok'],
    ]);
    expect(finding(result, 'change data capture')?.found).toMatch(
      /^possible; left are \d+ slots? and \d+ WAL senders?$/,
    );
  });

  test('says what is wrong with tables', async () => {
    const result = await check({ tables: ['oders', 'notes', 'private'] });
    expect(finding(result, 'table public.oders')).toMatchObject({
      state: 'problem',
      found: expect.stringContaining('did you mean "public.orders"') as string,
    });
    expect(finding(result, 'table public.notes')).toMatchObject({
      state: 'warning',
      found: expect.stringMatching(
        /without a primary key; without a replica identity, which captures need; it was never analyzed$/,
      ) as string,
    });
    expect(finding(result, 'table public.private')).toMatchObject({
      state: 'warning',
      found: expect.stringContaining('row-level security may hide rows from the role') as string,
      advice: expect.stringContaining('BYPASSRLS') as string,
    });
    expect(result).toMatchObject({ ok: false, problems: 1 });
  });

  test('warns of a warehouse that lacks characters', { tags: 'long' }, async () => {
    const admin = inject('warehouseAdmin');
    const database = `latin_${lab.name}`;
    await administer(admin, [
      `CREATE DATABASE ${database} TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'`,
      ...grantsOnWarehouse(database),
    ]);
    const result = await checkAs({ warehouse: withDatabase(admin, database, 'loader') });
    expect(finding(result, 'encoding of the warehouse')).toMatchObject({
      state: 'warning',
      found: expect.stringContaining('LATIN1: characters that it lacks fail a run') as string,
    });
    await administer(admin, [`DROP DATABASE ${database} WITH (FORCE)`]);
  });

  test.each([
    ['source', 'transactions of others'],
    ['warehouse', 'readers of the warehouse'],
  ] as const)('says that sessions of the %s do not show what they do', async (side, name) => {
    await lab[side].query(`ALTER DATABASE ${side}_${lab.name} SET track_activities = off`);
    const without = finding(await check(), name);
    await lab[side].query(`ALTER DATABASE ${side}_${lab.name} RESET track_activities`);
    expect(without).toMatchObject({
      state: 'warning',
      found: expect.stringContaining('without track_activities') as string,
    });
  });

  test('refuses an input that is none', async () => {
    await expectFailure(check({ tabels: [] } as CheckSourceRequest), 'InvalidInput', 'did you mean "tables"');
  });

  test('counts the sessions of others, also for a role that may not see what they are', async () => {
    const name = `unseeing_${lab.name}`;
    await lab.source.query(`CREATE ROLE ${name} LOGIN PASSWORD 'reader-secret'`);
    const left = async () => {
      const result = await checkAs({ source: as(lab.sourceUrl, name) });
      return Number(/^\d+/.exec(finding(result, 'connections')?.found ?? '')?.[0]);
    };
    const before = await left();
    const others = await Promise.all(Array.from({ length: 30 }, async () => lab.connect('source')));
    // other tests open and close sessions on the same server
    expect(await left()).toBeLessThan(before - 10);
    for (const other of others) await other.end();
    await lab.source.query(`ALTER ROLE ${name} CONNECTION LIMIT 12`);
    const own = Array.from({ length: 5 }, () => new Client(as(lab.sourceUrl, name)));
    for (const one of own) await one.connect();
    expect(await left()).toBeLessThanOrEqual(7);
    for (const one of own) await one.end();
  });

  test('says that a role may not create tables in schemas that it may use', async () => {
    const bare = `bare_${lab.name}`;
    await lab.warehouse.query(`GRANT USAGE ON SCHEMA bronze, bronze_staging, bronze_data TO ${bare};
      GRANT CREATE ON SCHEMA bronze_data TO ${bare}`);
    const result = await checkAs({ warehouse: as(lab.warehouseUrl, bare) });
    await lab.warehouse.query(`DROP OWNED BY ${bare}`);
    expect(finding(result, 'rights in the warehouse')).toMatchObject({
      state: 'problem',
      found: expect.stringMatching(
        /^the role may not create tables in (bronze, bronze_staging|bronze_staging, bronze)$/,
      ) as string,
    });
  });

  test('says what roles lack', async () => {
    const bare = `bare_${lab.name}`;
    await lab.source.query(`ALTER ROLE ${bare} SET statement_timeout = '1min'`);
    await lab.warehouse.query('DROP SCHEMA bronze, bronze_staging, bronze_data CASCADE');
    const databases = { source: as(lab.sourceUrl, bare), warehouse: as(lab.warehouseUrl, bare) };
    const result = await checkAs(databases);
    const tables = await checkAs(databases, { tables: ['orders'] });
    const told = (name: string) => [finding(result, name)?.state, finding(result, name)?.found];
    expect(told('tables')).toEqual(['problem', 'the role may read 0 of 4, which have 0 B']);
    expect(told('timeouts')).toEqual(['warning', 'statement_timeout 1 min 0 s']);
    expect(told('connections')[1]).toMatch(/^[1-5] of \d+ are left for the role$/);
    expect(told('transactions of others')[0]).toBe('warning');
    expect(told('change data capture')).toEqual([
      'ok',
      'not possible, which only captures need: the role lacks REPLICATION',
    ]);
    expect(told('rights in the warehouse')).toEqual([
      'problem',
      'the role may not make the schemas bronze, bronze_staging, bronze_data',
    ]);
    expect(told('readers of the warehouse')[0]).toBe('warning');
    expect(finding(tables, 'table public.orders')).toMatchObject({
      state: 'problem',
      found: expect.stringContaining('SELECT is missing on "id", "v"') as string,
    });
  });

  test('says what else it finds where no connection is left to look at the route with', async () => {
    const bare = `bare_${lab.name}`;
    await lab.source.query(`ALTER ROLE ${bare} CONNECTION LIMIT 1`);
    const result = await checkAs({ source: as(lab.sourceUrl, bare) });
    await lab.source.query(`ALTER ROLE ${bare} CONNECTION LIMIT 5`);
    expect(finding(result, 'connection to the source "default"')?.state).toBe('ok');
    expect(finding(result, 'route')).toMatchObject({
      state: 'problem',
      found: expect.stringMatching(/^source "default": too many connections .*SQLSTATE 53300/) as string,
    });
    expect(finding(result, 'version')?.state).toBe('ok');
  });

  test('looks at partitions: they are counted with their table, and read by their own names', async () => {
    const bare = `bare_${lab.name}`;
    await lab.source.query(`GRANT SELECT ON orders, notes, private, events TO ${bare}`);
    const databases = { source: as(lab.sourceUrl, bare) };
    const [all, one] = [await checkAs(databases), await checkAs(databases, { tables: ['events'] })];
    expect(finding(all, 'tables')).toMatchObject({
      state: 'warning',
      found: expect.stringMatching(/^the role may read 3 of 4, .*; not public\.events_1$/) as string,
    });
    expect(finding(one, 'table public.events')).toMatchObject({
      state: 'problem',
      found:
        'partitioned table, 8 KB, without a primary key; the role may not read its partitions public.events_1',
    });
    await lab.source.query(`GRANT SELECT ON events_1 TO ${bare}`);
    expect(finding(await checkAs(databases), 'tables')?.state).toBe('ok');
  });

  test('says when a server cannot be reached, and looks at the other all the same', async () => {
    const away = Object.assign(new URL(lab.sourceUrl), { port: '1' }).href;
    const result = await checkAs({ source: away });
    expect(result.findings[0]).toMatchObject({
      check: 'connection to the source "default"',
      state: 'problem',
      found: expect.stringContaining('cannot be reached (ECONNREFUSED)') as string,
    });
    expect(finding(result, 'rights in the warehouse')?.state).toBe('ok');
  });
});

test('a slot that nobody reads is told, with the log that it holds back', async () => {
  const slot = `forgotten_${lab.name}`;
  await lab.source.query('SELECT pg_create_physical_replication_slot($1, true)', [slot]);
  const database = new Database({ label: 'source "default"', settings: connectionTo(lab.sourceUrl) });
  const found = await database.read({}, async (session) => serverChecks.slots(session));
  await lab.source.query('SELECT pg_drop_replication_slot($1)', [slot]);
  await database.close();
  expect(found).toMatchObject({
    state: 'warning',
    found: expect.stringMatching(
      new RegExp(`^nobody reads .*"${slot}" \\(holds back \\d.* of the log\\)`),
    ) as string,
    advice: expect.stringContaining('dropCapture, pg_drop_replication_slot') as string,
  });
});

describe('npm run doctor', () => {
  const doctor = async (environment: Record<string, string>, ...tables: string[]) =>
    promisify(execFile)(process.execPath, [join(dirname(inject('worker')), 'doctor.js'), ...tables], {
      cwd: PROJECT_ROOT,
      env: { ...process.env, ...lab.workerEnvironment, ...environment },
    }).then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error: { code: number; stdout: string; stderr: string }) => ({
        code: error.code,
        stdout: error.stdout + error.stderr,
      }),
    );

  test('tells all of it, and whether a run would succeed', async () => {
    const [good, bad] = await Promise.all([
      doctor({}, 'orders'),
      doctor({ TEMPORAL_ADDRESS: '127.0.0.1:1' }, 'nothing'),
    ]);
    expect(good.stdout).toMatch(/^Source "default": 0 problems, \d+ warning/);
    expect(good.stdout).toMatch(/ok +version +PostgreSQL \d+/);
    expect(good.stdout).toMatch(
      new RegExp(
        `Temporal: reached at .*, namespace "default", with 1 worker on the task queue "${lab.taskQueue}"`,
      ),
    );
    expect(good.code).toBe(0);
    expect(bad.stdout).toMatch(/PROBLEM +table public\.nothing/);
    expect(bad.stdout).toMatch(/^Source "default": 1 problem, /);
    expect(bad.code).toBe(1);
    expect(bad.stdout + good.stdout).not.toContain('secret');
  });
});

describe('the way to a server', () => {
  test('that leads to two of them by turns is a problem', async () => {
    const role = `both_${lab.name}`;
    const admins = [inject('sourceAdmin'), inject('warehouseAdmin')];
    for (const admin of admins)
      await administer(admin, [`CREATE ROLE ${role} LOGIN PASSWORD 'reader-secret'`]);
    const balancer = await LoadBalancer.before(admins.map((admin) => Number(new URL(admin).port)));
    const url = `postgresql://${role}:reader-secret@127.0.0.1:${balancer.port}/postgres?sslmode=disable`;
    const database = new Database({ label: 'source "default"', settings: connectionTo(url) });
    const findings = await checkRoute(database);
    await database.close();
    balancer.close();
    expect(findings.map(({ check: name, state }) => [name, state])).toEqual([
      ['encryption', 'ok'],
      ['route', 'problem'],
    ]);
    expect(findings[1]?.found).toMatch(/^two connections reached two servers/);
    for (const admin of admins) await administer(admin, [`DROP ROLE ${role}`]);
  });

  test.each<[string, (abort: () => void) => unknown]>([
    ['while it answers', (abort) => setImmediate(abort)],
    ['while it connects', (abort) => abort()],
  ])('that hangs keeps nobody who does not want to know any more, %s', async (_, later) => {
    const { hostname: host, port } = new URL(lab.sourceUrl);
    await using proxy = await TcpProxy.start({ host, port: Number(port) });
    const settings = connectionTo(proxy.through(lab.sourceUrl));
    const database = new Database({ label: 'source "default"', settings });
    const cancelling = new AbortController();
    const connectTo = database.connect.bind(database);
    database.connect = async (more) => {
      const client = await connectTo(more);
      proxy.stall();
      later(() => cancelling.abort());
      return client;
    };
    await expect(checkRoute(database, cancelling.signal)).rejects.toMatchObject({ kind: 'ConnectionLost' });
  });
});

/** Distributes connections over several servers in turn. */
class LoadBalancer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async before(ports: readonly number[]): Promise<LoadBalancer> {
    let connections = 0;
    const server = createServer((client) => {
      const port = ports[connections % ports.length] ?? 0;
      connections += 1;
      const upstream = connect(port, '127.0.0.1');
      for (const socket of [client, upstream]) socket.on('error', () => socket.destroy());
      client.pipe(upstream).pipe(client);
    });
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve);
    });
    return new LoadBalancer(server);
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return address.port;
  }

  close(): void {
    this.#server.close();
  }
}
