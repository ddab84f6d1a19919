import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { CaptureChangesRequest } from '../src/contract/capture-changes.ts';
import { execute } from './execute.ts';

const run = promisify(execFile);

/** Captures all changes of all tables from now on, without copying existing rows. */
export const allChanges: CaptureChangesRequest = {
  tables: ['public.*'],
  slot: 'bench',
  publication: 'bench',
  initialCopy: false,
};

/** A kind of changes to be read from the WAL. */
export interface Load {
  readonly name: string;
  readonly changes: number;
  readonly rounds: number;
  /** Rounds that are not counted. */
  readonly warmUps: number;
  write(url: string, round: number): Promise<unknown>;
}

/** Creates the tables that the loads change. */
export async function makeTables(url: string): Promise<void> {
  await execute(
    url,
    'CREATE TABLE events (id bigint PRIMARY KEY, at timestamptz NOT NULL, kind text, amount numeric(12,2), payload jsonb)',
  );
  await run('pgbench', ['--initialize', '--scale=10', '--quiet', url]);
  await execute(url, 'ALTER TABLE pgbench_history REPLICA IDENTITY FULL');
}

export const loads = (total: number, rounds: number): Load[] => [
  {
    name: 'transactions of a hundred rows',
    changes: Math.ceil(total / 100) * 100,
    rounds,
    warmUps: 1,
    write: async (url, round) =>
      execute(
        url,
        `DO $$ BEGIN FOR batch IN 0..${Math.ceil(total / 100) - 1} LOOP
           INSERT INTO events SELECT ${round * total} + batch * 100 + i, now(), 'kind ' || i, i * 1.25, jsonb_build_object('n', i, 'token', md5(i::text))
             FROM generate_series(1, 100) i;
           COMMIT;
         END LOOP; END $$`,
      ),
  },
  {
    name: 'one transaction',
    changes: total,
    rounds: Math.min(rounds, 2),
    warmUps: 0,
    write: async (url, round) =>
      execute(
        url,
        `INSERT INTO events SELECT -(${round * total} + i), now(), 'large', i % 1000, '{}' FROM generate_series(1, ${total}) i`,
      ),
  },
  {
    // three updates and an insert per transaction, in eight sessions
    name: 'transactions of pgbench',
    changes: Math.ceil(total / 128) * 32,
    rounds: Math.min(rounds, 3),
    warmUps: 0,
    write: async (url) => pgbench(url, ['--client=8', `--transactions=${Math.ceil(total / 128)}`]),
  },
];

/** Runs pgbench without waiting for the disk at commit, so that it reaches the requested rate on a shared machine. */
export async function pgbench(url: string, options: readonly string[]): Promise<void> {
  const env = { ...process.env, PGOPTIONS: '-c synchronous_commit=off' };
  await run('pgbench', ['--jobs=2', '--protocol=prepared', '--no-vacuum', ...options, url], { env });
}
