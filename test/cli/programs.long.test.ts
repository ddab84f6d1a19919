// @module-tag long
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { expect, inject, test } from 'vitest';
import { PROJECT_ROOT } from '../../local/project-root.ts';
import { startWorkerProcess } from '../../local/worker-process.ts';

const unused = 'postgresql://u@127.0.0.1:1/d';
const databases = { SOURCE_DATABASE_URL: unused, WAREHOUSE_DATABASE_URL: unused };
const keys = { DATAKIT_ENCRYPTION_KEYS: `2026:${Buffer.alloc(32).toString('base64')}` };

async function run(
  program: string,
  environment: Record<string, string>,
): Promise<{ code: number; said: string[] }> {
  const { PATH = '', HOME = '' } = process.env;
  const running = promisify(execFile)(process.execPath, [join(dirname(inject('worker')), `${program}.js`)], {
    cwd: PROJECT_ROOT,
    env: { PATH, HOME, ...environment },
    timeout: 100_000,
  });
  const { code, stderr } = await running.then(
    () => ({ code: 0, stderr: '' }),
    (error: { code: number; stderr: string }) => error,
  );
  return { code, said: stderr.trimEnd().split('\n') };
}

const noTemporal =
  'Temporal cannot be reached at 127.0.0.1:1: check TEMPORAL_ADDRESS, or start a server on this machine with "temporal server start-dev".';

test('the worker says in one line why it cannot start', async () => {
  const [missing, profile, address, away, elsewhere] = await Promise.all([
    run('worker', { SOURCE_DATABASE_URL: unused, WAREHOUSE_DATABASE_URL: '' }),
    run('worker', { ...databases, TEMPORAL_PROFILE: 'nonesuch' }),
    run('worker', { ...databases, TEMPORAL_ADDRESS: '127.0.0.1:x' }),
    run('worker', { ...databases, TEMPORAL_ADDRESS: '127.0.0.1:1' }),
    run('worker', { ...databases, TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: 'shop' }),
  ]);
  expect(missing).toEqual({
    code: 1,
    said: [
      expect.stringMatching(/^The environment is .* WAREHOUSE_DATABASE_URL: is not set; expected a URL/),
    ],
  });
  expect(profile).toEqual({ code: 1, said: [expect.stringMatching(/^The profile .* 'nonesuch' not found/)] });
  expect(address).toEqual({
    code: 1,
    said: [expect.stringMatching(/^Temporal at 127\.0\.0\.1:x, .*Invalid/)],
  });
  expect(away).toEqual({ code: 1, said: [noTemporal] });
  expect(elsewhere).toEqual({
    code: 1,
    said: [`Temporal at ${inject('temporalAddress')} has no namespace "shop": check TEMPORAL_NAMESPACE.`],
  });
});

test('the codec server does, too', async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const address = other.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  const [missing, taken] = await Promise.all([
    run('codec-server', {}),
    run('codec-server', { ...keys, DATAKIT_CODEC_ADDRESS: `127.0.0.1:${port}` }),
  ]);
  other.close();
  expect(missing).toEqual({
    code: 1,
    said: [expect.stringContaining('DATAKIT_ENCRYPTION_KEYS: is not set')],
  });
  expect(taken).toEqual({ code: 1, said: [expect.stringContaining(`EADDRINUSE: address already in use`)] });
});

test('a worker without work logs that it is there, and nothing about its parts', async () => {
  const env = { ...databases, TEMPORAL_ADDRESS: inject('temporalAddress'), DATAKIT_TASK_QUEUE: 'idle' };
  const worker = await startWorkerProcess({ env, entry: inject('worker') });
  await worker.stop();
  const messages = worker
    .output()
    .split('\n')
    .map((line) => (JSON.parse(line) as { message: string }).message);
  expect(messages).toEqual([
    'the warehouse is not ready; the first run tries again',
    'worker ready',
    'worker stopping: it hands over its work',
    'worker stopped',
  ]);
});

test('a worker that its namespace is taken from ends, and says why', { timeout: 200_000 }, async () => {
  const namespace = `gone-${process.pid}`;
  const address = inject('temporalAddress');
  const { workflowService, operatorService } = await Connection.connect({ address });
  const workflowExecutionRetentionPeriod = msToTs('1 day');
  await workflowService.registerNamespace({ namespace, workflowExecutionRetentionPeriod });
  const env = { ...databases, TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace };
  const worker = await startWorkerProcess({ env, entry: inject('worker') });
  await operatorService.deleteNamespace({ namespace });
  expect(await worker.exited).toMatchObject({ code: 1 });
  expect(worker.output()).toContain(`Namespace ${namespace} is not found.`);
  expect(worker.output()).toContain('a worker has failed: the process ends');
});
