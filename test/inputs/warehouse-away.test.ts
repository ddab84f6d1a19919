import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { Lab } from '../setup/lab.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { expectNoSecrets, prepareOrders, refusal } from './refusal.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  const stop = await lab.startWorkers();
  await prepareOrders(lab);
  await stop();
});
afterAll(async () => lab.close());

/** Nothing listens on port 1. */
function atPort1(url: string): string {
  return Object.assign(new URL(url), { port: '1' }).href;
}

describe('a server that is down', () => {
  test.each(['warehouse', 'source'] as const)('the %s: the pending activity says so, and a cancelled run ends', async (side) => {
    const stop = await lab.startWorkers({ [side]: atPort1(side === 'source' ? lab.sourceUrl : lab.warehouseUrl) });
    try {
      const request: ExtractTableRequest = { table: 'orders' };
      const handle = await lab.start(request);
      const message = async () => (await handle.describe()).raw.pendingActivities?.[0]?.lastFailure?.message ?? '';
      await waitUntil(async () => (await message()) !== '', 5_000);
      expect(await message()).toContain(`${side === 'source' ? 'source "default"' : side}: the server cannot be reached (ECONNREFUSED)`);
      expect(await message()).toContain('Check that the server runs and that host and port in the connection URL are right.');
      const cancelled = Date.now();
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow('Workflow execution cancelled');
      expect(Date.now() - cancelled).toBeLessThan(10_000);
      expect(await lab.leftoversAtLast()).toEqual([]);
      await expectNoSecrets(handle);
    } finally {
      await stop();
    }
  });
});

test('a warehouse that is read-only', async () => {
  const setting = (value: string) =>
    lab.warehouse.query(`ALTER DATABASE warehouse_${lab.name} SET default_transaction_read_only = ${value}`);
  await setting('on');
  const stop = await lab.startWorkers();
  try {
    const message = await refusal(lab, { table: 'orders' }, 'ReadOnlyServer');
    expect(message).toContain('warehouse: cannot execute');
    expect(message).toContain('Point WAREHOUSE_DATABASE_URL at the primary, with default_transaction_read_only off.');
  } finally {
    await setting('off');
    await stop();
  }
});
