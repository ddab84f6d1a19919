import { expect, test, vi } from 'vitest';
import { startWorkerProcess } from '../../local/worker-process.ts';

test('is ready when it says so, and finishes when asked', async () => {
  const lines: string[] = [];
  const entry = 'test/local/programs/small-worker.ts';
  const worker = await startWorkerProcess({ env: {}, entry, onLine: (line) => lines.push(line) });
  expect(lines[0]).toContain('worker ready');
  expect(await worker.stop()).toEqual({ code: 0, signal: null });
  await vi.waitFor(() => expect(worker.output()).toContain('finished'));
});

test('is led to the Temporal it was given, and to no other', async () => {
  vi.stubEnv('TEMPORAL_ADDRESS', 'somewhere-else:7233');
  const env = { TEMPORAL_ADDRESS: '127.0.0.1:7999' };
  const worker = await startWorkerProcess({ env, entry: 'test/local/programs/small-worker.ts' });
  vi.unstubAllEnvs();
  expect(worker.output()).toContain('127.0.0.1:7999');
  worker.kill('SIGKILL');
  expect((await worker.exited).signal).toBe('SIGKILL');
});

test('tells what it printed when it ends before it is ready', async () => {
  const starting = startWorkerProcess({ env: {}, entry: 'test/local/programs/failing-worker.ts' });
  await expect(starting).rejects.toThrow(/code 3[\s\S]*no such database/);
});
