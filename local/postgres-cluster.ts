import { execFile } from 'node:child_process';
import { appendFile, chmod, chown, cp, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresBinaries } from './postgres-binaries.ts';
import type { SystemUser } from './unprivileged-user.ts';

const run = promisify(execFile);

export interface ClusterPlan {
  readonly binaries: PostgresBinaries;
  readonly user: SystemUser | undefined;
  /** Must not exist; its parent must. */
  readonly dataDirectory: string;
  readonly password: string;
  readonly settings: Readonly<Record<string, string>>;
}

/** Settings that extraction needs. Durability keeps PostgreSQL's defaults, so that measurements here are honest. */
const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  wal_level: 'logical',
  max_connections: '200',
  max_wal_senders: '20',
  max_replication_slots: '20',
  shared_buffers: '256MB',
  max_wal_size: '4GB',
  // "log" ranks above "error": failing statements are their client's business, a failing start is ours.
  log_min_messages: 'log',
  log_checkpoints: 'off',
};

/** Makes servers and initdb speak English regardless of the locale, since we parse their output. */
export function serverEnvironment(): NodeJS.ProcessEnv {
  return { ...process.env, LC_ALL: 'C' };
}

/** Creates a data directory with a superuser `postgres`. */
export async function initCluster(plan: ClusterPlan): Promise<void> {
  const directory = dirname(plan.dataDirectory);
  await chmod(directory, 0o711);
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, plan.password, { mode: 0o600 });
  await give(passwordFile, plan.user);
  try {
    // Older systems, and macOS before 15, have no C.UTF-8; C sorts the same way.
    await initdb(plan, passwordFile, 'C.UTF-8').catch(() => initdb(plan, passwordFile, 'C'));
  } finally {
    await rm(passwordFile, { force: true });
  }
  await writeSettings(plan);
}

/** Creates a data directory from the files of a stopped server, to follow it as a replica. */
export async function copyCluster(
  plan: ClusterPlan,
  primary: { readonly dataDirectory: string; readonly host: string; readonly port: number },
): Promise<void> {
  await chmod(dirname(plan.dataDirectory), 0o711);
  await cp(primary.dataDirectory, plan.dataDirectory, { recursive: true, preserveTimestamps: true });
  await rm(join(plan.dataDirectory, 'server.log'), { force: true });
  const connection = `host=${primary.host} port=${primary.port} user=postgres password=${plan.password}`;
  await writeFile(join(plan.dataDirectory, 'standby.signal'), '');
  await writeSettings({ ...plan, settings: { primary_conninfo: connection, ...plan.settings } });
  for (const name of ['', ...(await readdir(plan.dataDirectory, { recursive: true }))]) {
    await give(join(plan.dataDirectory, name), plan.user);
  }
  await chmod(plan.dataDirectory, 0o700);
}

async function initdb(plan: ClusterPlan, passwordFile: string, locale: string): Promise<void> {
  await rm(plan.dataDirectory, { recursive: true, force: true });
  await mkdir(plan.dataDirectory, { mode: 0o700 });
  await give(plan.dataDirectory, plan.user);
  const args = [
    '--encoding=UTF8',
    `--locale=${locale}`,
    '--auth=scram-sha-256',
    '--no-sync',
    '--no-instructions',
  ];
  await run(
    plan.binaries.initdb,
    [`--pgdata=${plan.dataDirectory}`, '--username=postgres', `--pwfile=${passwordFile}`, ...args],
    { ...plan.user, cwd: dirname(plan.dataDirectory), env: serverEnvironment() },
  );
}

/** Writes settings to the file rather than the command line, so that ALTER SYSTEM can still change them. */
async function writeSettings(plan: ClusterPlan): Promise<void> {
  const lines = Object.entries({ ...SETTINGS, ...plan.settings }).map(
    ([name, value]) => `${name} = '${value.replaceAll("'", "''")}'\n`,
  );
  await appendFile(join(plan.dataDirectory, 'postgresql.conf'), lines.join(''));
}

async function give(path: string, user: SystemUser | undefined): Promise<void> {
  if (user !== undefined) await chown(path, user.uid, user.gid);
}
