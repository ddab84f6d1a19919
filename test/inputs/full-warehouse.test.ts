import { expect, inject, test } from 'vitest';
import { failurePolicies } from '../../src/contract/failures.ts';
import { activityAttemptsOf } from '../setup/activity-attempts.ts';
import { administer } from '../setup/administer.ts';
import { Lab } from '../setup/lab.ts';
import { expectNoSecrets, failureOf, prepareOrders, ROW_VALUE } from './refusal.ts';
import { mountSmallDisk } from './small-disk.ts';

test('a warehouse whose disk is full: tried again a few times, then told, and nothing left behind', async ({
  skip,
}) => {
  const lab = await Lab.open({ workers: 'none' });
  const disk = await mountSmallDisk(lab.warehouse, '2m');
  if (typeof disk === 'string') {
    await lab.close();
    return skip(disk);
  }
  const tablespace = `small_${lab.name}`;
  try {
    const stop = await lab.startWorkers();
    await prepareOrders(lab);
    await stop(); // only new sessions see a new default
    await lab.warehouse.query(`CREATE TABLESPACE ${tablespace} LOCATION '${disk.directory}'`);
    await lab.warehouse.query(`GRANT CREATE ON TABLESPACE ${tablespace} TO loader`);
    await lab.warehouse.query(`ALTER DATABASE warehouse_${lab.name} SET default_tablespace = ${tablespace}`);
    await lab.startWorkers();
    await lab.source.query(
      `INSERT INTO orders SELECT i, repeat('${ROW_VALUE}', 50), i FROM generate_series(101, 8000) i`,
    );

    const handle = await lab.start({ table: 'orders' });
    const failure = await failureOf(handle);
    expect(failure.type).toBe('DiskFull');
    expect(failure.message).toContain('No space left on device (SQLSTATE 53100)');
    expect(failure.message).toContain('Free space on the server, then start the workflow again.');
    expect(Math.max(...(await activityAttemptsOf(handle)))).toBe(failurePolicies.DiskFull.retry);

    const { rows } = await lab.warehouse.query('SELECT count(*)::int AS rows FROM bronze.br_orders');
    expect(rows).toEqual([{ rows: 100 }]);
    expect(await lab.leftoversAtLast()).toEqual([]);
    await expectNoSecrets(handle);
  } finally {
    await lab.close();
    await administer(inject('warehouseAdmin'), [`DROP TABLESPACE IF EXISTS ${tablespace}`]);
    await disk[Symbol.asyncDispose]();
  }
});
