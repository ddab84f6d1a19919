import { mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { spawnTethered, type Tethered } from './tether.ts';

const CHILD = fileURLToPath(new URL('temporal-download-child.ts', import.meta.url));

/** The SDK's download has no time limit of its own; a firewall that drops packets would hold us up for minutes. */
const STALLED_AFTER_MS = 15_000;
const LOOK_EVERY_MS = 250;

/** Has the SDK download the executable that it would start itself, and puts it at `target`. */
export async function downloadWithSdk(target: string): Promise<void> {
  const directory = await mkdtemp(join(dirname(target), 'sdk-'));
  try {
    await runChild(directory);
    const [name] = await readdir(directory);
    if (name === undefined) throw new Error('nothing was downloaded');
    await rename(join(directory, name), target);
  } catch (error) {
    throw new Error(`SDK download: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Downloads in a separate process, because a download inside ours could not be stopped. */
async function runChild(directory: string): Promise<void> {
  const child = await spawnTethered(process.execPath, ['--import', 'tsx', CHILD, directory], {
    output: 'pipe',
    whenOrphaned: 'KILL',
    cwd: dirname(CHILD),
  });
  child.stdout?.resume();
  const complaint = child.stderr?.setEncoding('utf8').toArray() ?? Promise.resolve([]);
  const stalled = await killWhenStalled(child, directory);
  const { code } = await child.exited;
  if (stalled) throw new Error(`no progress for ${STALLED_AFTER_MS / 1000} s`);
  if (code !== 0) throw new Error((await complaint).join('').trim());
}

async function killWhenStalled(child: Tethered, directory: string): Promise<boolean> {
  let size = 0;
  let progressed = Date.now();
  while (child.running) {
    const now = await sizeOf(directory);
    if (now !== size) [size, progressed] = [now, Date.now()];
    if (Date.now() - progressed > STALLED_AFTER_MS) return child.signal('SIGKILL');
    await Promise.race([child.exited, sleep(LOOK_EVERY_MS)]);
  }
  return false;
}

async function sizeOf(directory: string): Promise<number> {
  const names = await readdir(directory);
  const sizes = names.map((name) =>
    stat(join(directory, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
