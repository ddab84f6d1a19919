import { access } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startPostgres } from '../../local/postgres.ts';
import { startStack } from '../../local/stack.ts';

beforeEach(() => vi.stubEnv('TEMPORAL_ADDRESS', undefined));
afterEach(() => vi.unstubAllEnvs());

test('starts what is missing, and closes it once', async () => {
  const stack = await startStack({});
  expect(new URL(stack.sourceUrl).pathname).toBe('/source');
  expect(new URL(stack.warehouseUrl).pathname).toBe('/warehouse');
  expect(stack.source?.port).not.toBe(stack.warehouse?.port);
  expect(stack.workerEnvironment['TEMPORAL_ADDRESS']).toBe(stack.temporal?.address);
  await Promise.all([stack.close(), stack.close()]);
  await expect(access(stack.source?.dataDirectory ?? '')).rejects.toThrow('ENOENT');
});

test('uses what is there', { tags: 'long' }, async () => {
  vi.stubEnv('TEMPORAL_ADDRESS', 'temporal.example:7233');
  vi.stubEnv('TEMPORAL_API_KEY', 'secret');
  const there = await startPostgres({ databases: ['mine'] });
  const stack = await startStack({ sourceUrl: there.url('mine'), warehouseUrl: there.url('mine') });
  expect(stack).toMatchObject({ source: undefined, warehouse: undefined, temporal: undefined });
  expect(stack).toMatchObject({ sourceUrl: there.url('mine'), temporalAddress: 'temporal.example:7233' });
  expect(stack.workerEnvironment).toMatchObject({
    TEMPORAL_API_KEY: 'secret',
    TEMPORAL_NAMESPACE: 'default',
  });
  await stack.close();
  await there.start(); // still running: closing the stack stopped nothing of it
  await there.dispose();
});
