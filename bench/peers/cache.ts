import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, mkdir, readdir, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** Time limit for package registries. */
const WITHIN_MS = 1_800_000;

/** Directory of the benchmarks in which peers are installed, and nowhere else. */
export class PeerCache {
  readonly #directory: string;

  constructor(directory = process.env['BENCH_CACHE'] ?? '.cache/bench/peers') {
    this.#directory = resolve(directory);
  }

  /** Installs PyPI packages in an environment of their own, and returns the directory of its programs. */
  async python(name: string, requirements: readonly string[]): Promise<string> {
    const directory = await this.#once([name, ...requirements], async (draft) => {
      await run('python3', ['-m', 'venv', draft], { timeout: WITHIN_MS });
      const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...requirements];
      await run(join(draft, 'bin', 'python'), pip, { timeout: WITHIN_MS });
    });
    return join(directory, 'bin');
  }

  /** Unpacks a Debian package without installing it, and returns the directory of its programs. */
  async debian(name: string, version: string): Promise<string> {
    const directory = await this.#once([name, version], async (draft) => {
      await mkdir(draft, { recursive: true });
      await run('apt-get', ['download', `${name}=${version}`], { cwd: draft, timeout: WITHIN_MS });
      const [file = ''] = await readdir(draft);
      await run('dpkg', ['-x', file, '.'], { cwd: draft });
    });
    return join(directory, 'usr', 'bin');
  }

  /** Makes a directory, unless it is already there and complete. */
  async #once(key: readonly string[], make: (draft: string) => Promise<void>): Promise<string> {
    const [name = '', ...versions] = key;
    const digest = createHash('sha256').update(versions.join(' ')).digest('hex').slice(0, 12);
    const directory = join(this.#directory, `${name}-${digest}`);
    const complete = join(directory, 'complete');
    if (await isThere(complete)) return directory;
    await rm(directory, { recursive: true, force: true });
    await mkdir(this.#directory, { recursive: true });
    try {
      // a Python environment contains its own path and cannot be moved, so a marker is written once it is complete
      await make(directory);
      await mkdir(complete);
      return directory;
    } catch (error) {
      await rm(directory, { recursive: true, force: true });
      throw new Error(`cannot be installed: ${lastLine(error)}`, { cause: error });
    }
  }
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Returns the last line of an installer's output, which says why it failed. */
function lastLine(error: unknown): string {
  const { stderr = '', message = String(error) } = error as { stderr?: string; message?: string };
  return stderr.trim().split('\n').at(-1) ?? message;
}
