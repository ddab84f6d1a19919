import { execFile } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../../local/temporary-directory.ts';

/** What `npm run build` makes, in a directory of its own. */
export interface Built {
  readonly worker: string;
  /** The workflows in one file. */
  readonly bundle: string;
  /** The same with a failure converter that encrypts. */
  readonly encryptedBundle: string;
  remove(): Promise<void>;
}

/**
 * Workers in processes of their own run what production runs, and start in a quarter of the CPU
 * that the sources take.
 */
export async function build(): Promise<Built> {
  // below node_modules, where packages are found
  const cache = join(PROJECT_ROOT, 'node_modules', '.cache');
  await mkdir(cache, { recursive: true });
  const directory = await makeTemporaryDirectory('build', cache);
  const out = join(directory, 'dist');
  await promisify(execFile)('npm', ['run', 'build'], {
    cwd: PROJECT_ROOT,
    env: { ...process.env, OUT_DIR: out },
  });
  return {
    worker: join(out, 'worker.js'),
    bundle: join(out, 'workflow-bundle.js'),
    encryptedBundle: join(out, 'workflow-bundle-encrypted.js'),
    remove: async () => removeTemporaryDirectory(directory),
  };
}
