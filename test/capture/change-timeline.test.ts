import { afterAll, beforeAll, expect, test } from 'vitest';
import { changeTimeline } from '../../src/bronze/cdc/positions.ts';
import { migrate } from '../../src/bronze/migrate.ts';
import { Database } from '../../src/postgres/database.ts';
import { connectionTo, poolOf } from '../setup/connection-to.ts';
import { Lab } from '../setup/lab.ts';

let lab: Lab;
let warehouse: Database;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  warehouse = new Database({ label: 'warehouse', settings: connectionTo(lab.warehouseUrl, poolOf(1)) });
  await migrate(warehouse);
});
afterAll(async () => {
  await warehouse.close();
  await lab.close();
});

test('of two streams that follow a standby the later finds the position moved, and writes nothing', async () => {
  const { rows } = await lab.warehouse.query<{ id: string }>(
    `INSERT INTO bronze.cdc_positions
       (source, slot, publication, own_publication, system_id, timeline, status, position, run_id, workflow_id)
     VALUES ('default', 'moved', 'p', true, '7', 2, 'streaming', '0/500', 'run', 'workflow') RETURNING capture_id AS id`,
  );
  const capture = { captureId: rows[0]?.id ?? '', position: '0/500' };
  const follow = async () =>
    warehouse.write({}, async (session) => changeTimeline(session, capture, { timeline: 3, left: '0/400' }));
  // no change is between them, or the source would be refused
  expect(await follow()).toBe('0/400');
  await expect(follow()).rejects.toMatchObject({ kind: 'SerializationFailure' });
});
