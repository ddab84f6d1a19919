import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { canConnect } from '../../local/can-connect.ts';
import { freePort, releasePort } from '../../local/free-port.ts';
import { lastLines, withLogFile } from '../../local/log-file.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../../local/temporary-directory.ts';
import { spawnTethered } from '../../local/tether.ts';
import { unprivilegedUser } from '../../local/unprivileged-user.ts';
import { waitUntil } from './wait-until.ts';

const run = promisify(execFile);
const PACKAGES = ['pgbouncer', 'libevent-2.1-7', 'libc-ares2'];
/** Without a network, the download must not hold up the tests. */
const DOWNLOAD_TIMEOUT = 20_000;

export interface PgBouncerProgram {
  readonly path: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Finds PgBouncer on the PATH, or unpacks Debian's packages in a directory; undefined if neither is possible. */
export async function findPgBouncer(directory: string): Promise<PgBouncerProgram | undefined> {
  const installed = { path: 'pgbouncer', env: process.env };
  if (await works(installed)) return installed;
  try {
    await chmod(directory, 0o755);
    await unpack(directory);
  } catch {
    return undefined;
  }
  const unpacked = join(directory, 'root');
  const libraries = join(unpacked, 'usr/lib/x86_64-linux-gnu');
  const found = {
    path: join(unpacked, 'usr/sbin/pgbouncer'),
    env: { ...process.env, LD_LIBRARY_PATH: libraries },
  };
  return (await works(found)) ? found : undefined;
}

async function works({ path, env }: PgBouncerProgram): Promise<boolean> {
  return run(path, ['--version'], { env }).then(
    () => true,
    () => false,
  );
}

/** Uses the system's package lists, or else downloads our own. */
async function unpack(directory: string): Promise<void> {
  const options = { cwd: directory, timeout: DOWNLOAD_TIMEOUT };
  const own = [
    `-oDir::State::lists=${join(directory, 'lists')}`,
    `-oDir::Cache=${join(directory, 'cache')}`,
    '-oAcquire::http::Timeout=5',
    '-oAcquire::Retries=0',
  ];
  try {
    await run('apt-get', ['download', ...PACKAGES], options);
  } catch {
    for (const name of ['lists', 'cache']) await mkdir(join(directory, name, 'partial'), { recursive: true });
    await run('apt-get', [...own, 'update'], options);
    await run('apt-get', [...own, 'download', ...PACKAGES], options);
  }
  for (const file of (await readdir(directory)).filter((name) => name.endsWith('.deb'))) {
    await run('dpkg-deb', ['--extract', file, 'root'], options);
  }
}

export interface PgBouncer {
  /** Returns the URL routed through the pooler. */
  through(url: string): string;
  stop(): Promise<void>;
}

/** Starts a PgBouncer in front of a server, for the roles of the tests. */
export async function startPgBouncer(
  program: PgBouncerProgram,
  mode: 'session' | 'transaction' | 'statement',
  server: URL,
): Promise<PgBouncer> {
  const directory = await makeTemporaryDirectory('pgbouncer');
  const user = await unprivilegedUser();
  const port = await freePort();
  const settings = `[databases]
* = host=${server.hostname} port=${server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${join(directory, 'users.txt')}
pool_mode = ${mode}
default_pool_size = 20
`;
  const users = ['extractor', 'loader'].map((name) => `"${name}" "${name}-secret"\n`).join('');
  const files = { 'pgbouncer.ini': settings, 'users.txt': users };
  await chmod(directory, 0o711);
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(directory, name), text, { mode: 0o600 });
    if (user !== undefined) await chown(join(directory, name), user.uid, user.gid);
  }
  const log = join(directory, 'pgbouncer.log');
  const child = await withLogFile(log, async (output) =>
    spawnTethered(program.path, [join(directory, 'pgbouncer.ini')], { user, env: program.env, output }),
  );
  await waitUntil(async () => !child.running || canConnect(port));
  if (!child.running) throw new Error(`PgBouncer did not start:\n${await lastLines(log)}`);
  return {
    through: (url) => Object.assign(new URL(url), { port: String(port) }).href,
    stop: async () => {
      child.signal('SIGINT');
      await child.exited;
      releasePort(port);
      await removeTemporaryDirectory(directory);
    },
  };
}
