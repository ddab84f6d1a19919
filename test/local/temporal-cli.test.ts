import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { findTemporalCli } from '../../local/temporal-cli.ts';

const run = promisify(execFile);
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'temporal-cli-test-'));
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

// The first run on a machine fetches the executable.
test('finds an executable that runs', async () => {
  const { stdout } = await run(await findTemporalCli(), ['--version']);
  expect(stdout).toMatch(/^temporal version \d/);
}, 330_000);

test('prefers the one on the PATH', async () => {
  await symlink(await findTemporalCli(), join(directory, 'temporal'));
  vi.stubEnv('PATH', `${directory}:${process.env['PATH']}`);
  expect(await findTemporalCli()).toBe(join(directory, 'temporal'));
});

test('passes over a shim without the program behind it', async () => {
  await writeFile(join(directory, 'temporal'), '#!/bin/sh\nexit 127\n', { mode: 0o755 });
  vi.stubEnv('PATH', `${directory}:${process.env['PATH']}`);
  expect(await findTemporalCli()).not.toBe(join(directory, 'temporal'));
});
