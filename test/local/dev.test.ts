import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, inject, test, vi } from 'vitest';
import { devGuide } from '../../local/dev-guide.ts';
import { lookAtDatabases } from '../../local/look-at-databases.ts';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { startingLine } from '../../local/stack.ts';
import { taskQueueOf } from '../../local/task-queue.ts';
import type { TemporalServer } from '../../local/temporal.ts';
import { Lab } from '../setup/lab.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  await lab.source.query(`CREATE TABLE an_empty_one (id int);
    CREATE SCHEMA sales; CREATE TABLE sales.items AS SELECT 1 AS id; ANALYZE sales.items;
    CREATE TABLE payments AS SELECT i AS id FROM generate_series(1, 7) i; ANALYZE payments`);
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await lab.close();
});

test(
  'joins another Temporal on a task queue of its own, and prints commands that work there',
  { tags: 'long' },
  async () => {
    const { DATAKIT_TASK_QUEUE: _, ...environment } = lab.workerEnvironment;
    const dev = spawn(process.execPath, ['--import', 'tsx', 'local/dev.ts'], {
      cwd: PROJECT_ROOT,
      env: { ...process.env, ...environment, DATAKIT_TASK_QUEUE: '' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    for await (const chunk of dev.stdout.setEncoding('utf8').iterator({ destroyOnReturn: false })) {
      said += chunk as string;
      if (said.includes('Ctrl-C')) break;
    }
    const queue = /^Task queue {2}(.*)$/m.exec(said)?.[1];
    expect(queue).toMatch(/^datakit-postgres-dev-[0-9a-f]{6}$/);
    const commands = said.split('\n').filter((line) => line.startsWith('  '));
    expect(commands.join('\n')).toContain(`--task-queue ${queue} `);
    const { stdout } = await promisify(execFile)('bash', ['-ec', commands.join('\n')]);
    expect(stdout).toContain('"table":"public.payments"');
    const { rows } = await lab.warehouse.query('SELECT count(*)::int AS rows FROM bronze.br_payments');
    expect(rows).toEqual([{ rows: 7 }]);
    dev.kill('SIGTERM');
    await once(dev, 'exit');
  },
);

test('starts with the URL in a file, and a Ctrl-C then leaves nothing behind', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'dev-starts-'));
  await chmod(directory, 0o755);
  const { SOURCE_DATABASE_URL: source = '', ...environment } = lab.workerEnvironment;
  const file = join(directory, 'source-url');
  await writeFile(file, `${source}\n`, { mode: 0o600 });
  const urls = { SOURCE_DATABASE_URL_FILE: file, WAREHOUSE_DATABASE_URL: '' };
  const dev = spawn(process.execPath, ['--import', 'tsx', 'local/dev.ts'], {
    cwd: PROJECT_ROOT,
    env: { ...process.env, ...environment, ...urls, TMPDIR: directory },
    stdio: 'ignore',
  });
  const exited = once(dev, 'exit');
  const servers = async () => (await readdir(directory)).filter((name) => name.includes('-server-'));
  await waitUntil(async () => (await servers()).length > 0, 20_000);
  dev.kill('SIGINT');
  expect(await exited).toEqual([130, null]);
  expect(await servers()).toEqual([]);
  await rm(directory, { recursive: true });
});

test('uses the usual task queue where Temporal is its own', () => {
  expect(taskQueueOf({ temporal: {} as TemporalServer }, 'dev')).toBe('datakit-postgres');
  expect(taskQueueOf({ temporal: undefined }, 'dev')).not.toBe(taskQueueOf({ temporal: undefined }, 'dev'));
});

test('suggests a table that the role may read, and tells what is wrong with a connection', async () => {
  expect(await lookAtDatabases(lab.workerEnvironment)).toEqual({ table: 'payments', problems: [] });
  const wrong = Object.assign(new URL(lab.sourceUrl), { password: 'wrong' }).href;
  const found = await lookAtDatabases({ ...lab.workerEnvironment, SOURCE_DATABASE_URL: wrong });
  expect(found).toMatchObject({ table: undefined, problems: [{ state: 'problem' }] });
  expect(guide({ found })).toMatch(
    /^PROBLEM {2}connection to the source "default": .*password authentication failed[^]*→ Check user and password/m,
  );
});

const guide = (other: Partial<Parameters<typeof devGuide>[0]>): string =>
  devGuide({
    stack: {
      temporal: undefined,
      temporalAddress: '127.0.0.1:7233',
      temporalNamespace: 'default',
      warehouse: undefined,
      warehouseUrl: '',
    },
    taskQueue: 'queue',
    cli: undefined,
    found: undefined,
    ...other,
  });

test('says what another shell needs, and nothing if it needs nothing', () => {
  const cli = inject('temporalCli');
  vi.stubEnv('PATH', '/nothing');
  expect(guide({ cli })).toContain(`  export PATH="$PATH":${dirname(cli)}`);
  vi.stubEnv('PATH', `/nothing:${dirname(cli)}`);
  expect(guide({ cli })).not.toContain('export');
});

test('says what it starts, and not what is there', () => {
  vi.stubEnv('TEMPORAL_ADDRESS', '');
  expect(startingLine({ sourceUrl: 'postgresql:///' }, 'a worker')).toBe(
    'Starting a warehouse, a Temporal server, and a worker …',
  );
  vi.stubEnv('TEMPORAL_ADDRESS', 'temporal.example:7233');
  expect(startingLine({})).toBe('Starting a source and a warehouse …');
});
