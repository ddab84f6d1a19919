import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIGRATION_LOCK } from '../../src/bronze/migrate.ts';
import { HeldCopies } from '../setup/held-copies.ts';
import { Lab } from '../setup/lab.ts';
import { pendingFailure } from '../setup/pending-failure.ts';
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

/** Replaces the port with 1, on which nothing listens. */
function atPort1(url: string): string {
  return Object.assign(new URL(url), { port: '1' }).href;
}

test.each(['warehouse', 'source'] as const)(
  'a %s that is down: the pending activity says so',
  async (side) => {
    const stop = await lab.startWorkers({
      [side]: atPort1(side === 'source' ? lab.sourceUrl : lab.warehouseUrl),
    });
    const handle = await lab.start({ table: 'orders' });
    try {
      const message = async () =>
        (await handle.describe()).raw.pendingActivities?.[0]?.lastFailure?.message ?? '';
      await waitUntil(async () => (await message()) !== '');
      const label = side === 'source' ? 'source "default"' : 'warehouse';
      expect(await message()).toMatch(
        new RegExp(`${label}: the server at [\\w.]+:1 cannot be reached \\(ECONNREFUSED\\)`),
      );
      expect(await message()).toContain(
        'Check that the server runs and that host and port in the connection URL are right.',
      );
      await expectNoSecrets(handle);
    } finally {
      await handle.terminate();
      await stop();
    }
  },
);

async function expectCancelled(side: 'source' | 'warehouse'): Promise<void> {
  const stop = await lab.startWorkers({
    [side]: atPort1(side === 'source' ? lab.sourceUrl : lab.warehouseUrl),
  });
  const handle = await lab.start({ table: 'orders' });
  try {
    await waitUntil(
      async () => ((await handle.describe()).raw.pendingActivities?.[0]?.attempt ?? 0) > 1,
      5_000,
    );
    await handle.cancel();
    await waitUntil(async () => (await handle.describe()).status.name === 'CANCELLED');
    expect(await lab.leftoversAtLast()).toEqual([]);
  } finally {
    await handle.terminate().catch(() => undefined);
    await stop();
  }
}

test('a run whose source is down can be cancelled, and ends within seconds', async () =>
  expectCancelled('source'));

test('a run whose warehouse is down can be cancelled, and ends within seconds', { tags: 'long' }, async () =>
  expectCancelled('warehouse'),
);

test('a run that waits for a migration of the warehouse can be cancelled, and ends within seconds', async () => {
  const keeper = await lab.connect('warehouse');
  await keeper.query(`SELECT pg_advisory_lock(${MIGRATION_LOCK})`);
  const stop = await lab.startWorkers();
  const handle = await lab.start({ table: 'orders' });
  try {
    const waiting = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'`;
    await waitUntil(async () => (await lab.warehouse.query(waiting)).rowCount === 1);
    await handle.cancel();
    await waitUntil(async () => (await handle.describe()).status.name === 'CANCELLED', 10_000);
  } finally {
    await keeper.query(`SELECT pg_advisory_unlock(${MIGRATION_LOCK})`);
    await handle.terminate().catch(() => undefined);
    await stop();
  }
  expect(await lab.leftoversAtLast()).toEqual([]);
});

const setting = async (value: 'on' | 'off') =>
  lab.warehouse.query(`ALTER DATABASE warehouse_${lab.name} SET default_transaction_read_only = ${value}`);

test('a warehouse that takes no writes any more is waited for by a run that has written there', async () => {
  await lab.source.query(`CREATE TABLE many AS SELECT i AS id FROM generate_series(1, 5000) AS i`);
  const stop = await lab.startWorkers();
  const held = await HeldCopies.hold(lab, 'before each mark');
  const handle = await lab.start({ table: 'many', chunkSize: '64kB', parallelism: 1 });
  try {
    const [copying] = await held.reached();
    await setting('on');
    await lab.warehouse.query('SELECT pg_terminate_backend($1)', [copying]);
    await held.release();
    await waitUntil(async () => (await pendingFailure(handle)).includes('warehouse: cannot execute'));
    await setting('off');
    expect(await handle.result()).toMatchObject({ rows: 5000, restarts: 0 });
  } finally {
    await setting('off');
    await stop();
  }
});

test('a warehouse that is read-only', async () => {
  await setting('on');
  const stop = await lab.startWorkers();
  try {
    const message = await refusal(lab, { table: 'orders' }, 'ReadOnlyServer');
    expect(message).toContain('warehouse: cannot execute');
    expect(message).toContain(
      'Point WAREHOUSE_DATABASE_URL at the primary, with default_transaction_read_only off.',
    );
  } finally {
    await setting('off');
    await stop();
  }
});
