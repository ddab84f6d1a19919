import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

let built: Promise<unknown> | undefined;

/** The module of the worker that is measured, from the root of the project. */
export const workerEntry = process.env['BENCH_WORKER'] ?? 'dist/worker.js';

/** Benchmarks run what production runs: the build, not the sources. Once in a process; never where one is named. */
export async function build(): Promise<void> {
  if (process.env['BENCH_WORKER'] !== undefined) return;
  built ??= promisify(execFile)('npm', ['run', 'build']);
  await built;
}
