import { lstat, mkdtemp, readdir, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { processStart } from './process-start.ts';

const PREFIX = 'datakit-postgres-';
const OWNER_FILE = 'owner.json';
/** Naming the owner takes only milliseconds after a directory is made. */
const NAMELESS_FOR_MS = 60_000;

interface Owner {
  readonly pid: number;
  readonly started: string | undefined;
  /** Containers may share a temporary directory, but not their pids. */
  readonly host: string;
}

/** Makes a directory for this process, after removing those that killed processes left behind. */
export async function makeTemporaryDirectory(kind: string, parent = tmpdir()): Promise<string> {
  await removeAbandoned(parent);
  const directory = await mkdtemp(join(parent, `${PREFIX}${kind}-`));
  const owner: Owner = { pid: process.pid, started: await processStart(process.pid), host: hostname() };
  await writeFile(join(directory, OWNER_FILE), JSON.stringify(owner));
  return directory;
}

export async function removeTemporaryDirectory(directory: string): Promise<void> {
  await rm(directory, { recursive: true, force: true, maxRetries: 3 });
}

async function removeAbandoned(parent: string): Promise<void> {
  const names = (await readdir(parent)).filter((name) => name.startsWith(PREFIX));
  await Promise.all(names.map((name) => removeIfAbandoned(join(parent, name))));
}

/** Removes a directory whose owner is gone. Two processes may clean up at once, so it may vanish in between. */
async function removeIfAbandoned(directory: string): Promise<void> {
  try {
    const { uid, mtimeMs } = await lstat(directory);
    if (uid !== process.getuid?.()) return;
    const owner = await readOwner(directory);
    if (owner !== undefined) {
      if (await isAbandoned(owner, directory)) await removeTemporaryDirectory(directory);
    } else if (Date.now() - mtimeMs > NAMELESS_FOR_MS) {
      await rmdir(directory); // fails unless empty: a directory with content but no owner is not ours to judge
    }
  } catch {
    // left for the next start
  }
}

async function readOwner(directory: string): Promise<Owner | undefined> {
  try {
    return JSON.parse(await readFile(join(directory, OWNER_FILE), 'utf8')) as Owner;
  } catch {
    return undefined;
  }
}

async function isAbandoned(owner: Owner, directory: string): Promise<boolean> {
  if (owner.host !== hostname()) return false;
  if ((await processStart(owner.pid)) === owner.started) return false;
  return !(await isServed(directory));
}

/** True while a postmaster uses the directory: a tethered one takes a moment to end after its parent. */
async function isServed(directory: string): Promise<boolean> {
  try {
    const lockFile = await readFile(join(directory, 'data', 'postmaster.pid'), 'utf8');
    return (await processStart(Number.parseInt(lockFile, 10))) !== undefined;
  } catch {
    return false;
  }
}
