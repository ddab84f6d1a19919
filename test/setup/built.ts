import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../../local/temporary-directory.ts';

/** The output of `npm run build`. */
export interface Built {
  readonly worker: string;
  /** The workflows, in one file. */
  readonly bundle: string;
  /** The workflows with a failure converter that encrypts. */
  readonly encryptedBundle: string;
}

// below node_modules, so that packages are found
const CACHE = join(PROJECT_ROOT, 'node_modules', '.cache', 'datakit-postgres-builds');
const MADE_OF = ['package.json', 'package-lock.json', 'tsconfig.json', 'tsconfig.build.json'];
const KEPT_MS = 86_400_000;

/**
 * Builds the project: separate worker processes run what production runs, and start with a quarter of the CPU
 * that the sources need. A previous build of the same files is reused.
 */
export async function build(): Promise<Built> {
  const files = await fingerprint();
  const out = join(CACHE, files);
  if (!existsSync(out)) await buildInto(out);
  // if files changed during the build, it may mix both versions
  if ((await fingerprint()) !== files) {
    await rm(out, { recursive: true, force: true });
    return build();
  }
  return {
    worker: join(out, 'worker.js'),
    bundle: join(out, 'workflow-bundle.js'),
    encryptedBundle: join(out, 'workflow-bundle-encrypted.js'),
  };
}

async function fingerprint(): Promise<string> {
  const names = await readdir(join(PROJECT_ROOT, 'src'), { recursive: true });
  const sources = names.filter((name) => extname(name) !== '').map((name) => join('src', name));
  const hash = createHash('sha256');
  for (const file of [...MADE_OF, ...sources.toSorted()]) {
    const content = await readFile(join(PROJECT_ROOT, file));
    hash.update(`${file} ${content.length}\n`).update(content);
  }
  return hash.digest('hex').slice(0, 16);
}

/** Builds under another name first, so that whatever has the final name is complete. */
async function buildInto(out: string): Promise<void> {
  await mkdir(CACHE, { recursive: true });
  await removeOldBuilds();
  const directory = await makeTemporaryDirectory('build', CACHE);
  const made = join(directory, 'dist');
  await promisify(execFile)('npm', ['run', 'build'], {
    cwd: PROJECT_ROOT,
    env: { ...process.env, OUT_DIR: made },
  });
  // another test run may have made it in the meantime
  await rename(made, out).catch((error: unknown) => {
    if (!existsSync(out)) throw error;
  });
  await removeTemporaryDirectory(directory);
}

async function removeOldBuilds(): Promise<void> {
  for (const name of await readdir(CACHE)) {
    // another test run may have removed it
    const found = await stat(join(CACHE, name)).catch(() => undefined);
    if (Date.now() - (found?.mtimeMs ?? Date.now()) > KEPT_MS)
      await rm(join(CACHE, name), { recursive: true, force: true });
  }
}
