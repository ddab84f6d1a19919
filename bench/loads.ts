import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { CaptureChangesRequest } from '../src/contract/capture-changes.ts';
import { execute } from './execute.ts';

const run = promisify(execFile);

/** Every change from now on, of all tables; what is in them before is not copied. */
export const allChanges: CaptureChangesRequest = {
  tables: ['public.*'],
  slot: 'bench',
  publication: 'bench',
  initialCopy: false,
};

/** Changes of one kind, to be read from the log. */
export interface Load {
  readonly name: string;
  readonly changes: number;
  readonly rounds: number;
  /** Rounds that are not counted. */
  readonly warmUps: number;
  write(url: string, round: number): Promise<unknown>;
}

/** What is changed. */
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
    // three updates and an insert each, of eight sessions
    name: 'transactions of pgbench',
    changes: Math.ceil(total / 128) * 32,
    rounds: Math.min(rounds, 3),
    warmUps: 0,
    write: async (url) => pgbench(url, ['--client=8', `--transactions=${Math.ceil(total / 128)}`]),
  },
];

/** Its commits do not wait for the disk, so that it has the rate that is asked for on a machine that all share. */
export async function pgbench(url: string, options: readonly string[]): Promise<void> {
  const env = { ...process.env, PGOPTIONS: '-c synchronous_commit=off' };
  await run('pgbench', ['--jobs=2', '--protocol=prepared', '--no-vacuum', ...options, url], { env });
}
