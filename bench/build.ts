import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

let built: Promise<unknown> | undefined;

/** Module of the worker under test, relative to the project root. */
export const workerEntry = process.env['BENCH_WORKER'] ?? 'dist/worker.js';

/** Builds the project, since production runs the build: once per process, but not if BENCH_WORKER names a module. */
export async function build(): Promise<void> {
  if (process.env['BENCH_WORKER'] !== undefined) return;
  built ??= promisify(execFile)('npm', ['run', 'build']);
  await built;
}
