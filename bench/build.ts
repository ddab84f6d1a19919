import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** Benchmarks run what production runs: the build, not the sources. */
export async function build(): Promise<void> {
  await promisify(execFile)('npm', ['run', 'build']);
}
