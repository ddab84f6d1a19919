import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { lastLines, withLogFile } from './log-file.ts';
import type { PostgresBinaries } from './postgres-binaries.ts';
import { serverEnvironment } from './postgres-cluster.ts';
import { spawnTethered, type Tethered } from './tether.ts';
import type { SystemUser } from './unprivileged-user.ts';

export interface PostmasterPlan {
  readonly binaries: PostgresBinaries;
  readonly user: SystemUser | undefined;
  readonly dataDirectory: string;
  readonly port: number;
}

/** Recovery after an immediate stop replays up to max_wal_size. */
const READY_WITHIN_MS = 180_000;
/** Backends of a killed postmaster notice within moments, and block the next start until then. */
const LINGERING_ATTEMPTS = 50;

/** The server failed to start; the message contains the end of its log. */
export class PostgresStartError extends Error {
  override readonly name = 'PostgresStartError';

  get portInUse(): boolean {
    return this.message.includes('Address already in use');
  }

  get backendsLinger(): boolean {
    return /pre-existing shared memory block|lock file "postmaster.pid" already exists/.test(this.message);
  }
}

/** Starts a postmaster and waits until it accepts connections. */
export async function startPostmaster(plan: PostmasterPlan): Promise<Tethered> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startOnce(plan);
    } catch (error) {
      const lingering = error instanceof PostgresStartError && error.backendsLinger;
      if (!lingering || attempt === LINGERING_ATTEMPTS) throw error;
      await sleep(100);
    }
  }
}

async function startOnce(plan: PostmasterPlan): Promise<Tethered> {
  const { binaries, dataDirectory, port } = plan;
  const log = join(dataDirectory, 'server.log');
  const postmaster = await withLogFile(log, (output) =>
    spawnTethered(binaries.postgres, ['-D', dataDirectory, '-p', String(port)], {
      output,
      whenOrphaned: 'QUIT',
      user: plan.user,
      cwd: dirname(dataDirectory),
      env: serverEnvironment(),
    }),
  );
  if (await becomesReady(postmaster, dataDirectory)) return postmaster;
  postmaster.signal('SIGKILL');
  throw new PostgresStartError(`PostgreSQL did not start on port ${port}:\n${await lastLines(log)}`);
}

async function becomesReady(postmaster: Tethered, dataDirectory: string): Promise<boolean> {
  const deadline = Date.now() + READY_WITHIN_MS;
  while (postmaster.running && Date.now() < deadline) {
    if (await saysReady(postmaster.pid, dataDirectory)) return true;
    await sleep(10);
  }
  return false;
}

/** Line 1 of postmaster.pid is the pid, line 8 the state: see pidfile.h. The file outlives a killed postmaster. */
async function saysReady(pid: number, dataDirectory: string): Promise<boolean> {
  const text = await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8').catch(() => '');
  const lines = text.split('\n');
  return Number(lines[0]) === pid && lines[7]?.trim() === 'ready';
}
