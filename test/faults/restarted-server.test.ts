import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../../local/postgres.ts';
import { Gate } from '../setup/gate.ts';
import { Lab } from '../setup/lab.ts';
import { createRoles } from '../setup/roles.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';

const servers: { source?: PostgresServer; warehouse?: PostgresServer } = {};
let lab: Lab;
beforeAll(async () => {
  const [source, warehouse] = await Promise.all([startPostgres(), startPostgres()]);
  Object.assign(servers, { source, warehouse });
  await createRoles(source, warehouse);
  lab = await Lab.open({ servers: { source: source.url('postgres'), warehouse: warehouse.url('postgres') } });
});
afterAll(async () => {
  await lab.close();
  await Promise.all([servers.source?.dispose(), servers.warehouse?.dispose()]);
});
beforeEach(async () => {
  await lab.source.query(`DROP TABLE IF EXISTS events; CREATE TABLE events (id int, v text);
    INSERT INTO events SELECT i, repeat('v', 100) FROM generate_series(1, 20000) i`);
});

interface Mark {
  readonly chunk: number;
  readonly at: string;
}

async function marks(): Promise<Mark[]> {
  const { rows } = await lab.warehouse.query<Mark>(
    'SELECT plan_id, chunk, loaded_at::text AS at FROM bronze.extraction_chunks ORDER BY plan_id DESC, chunk',
  );
  return rows;
}

describe('a run goes through a crash and restart', () => {
  test('of the warehouse: chunks that it kept are not copied again', async () => {
    const gate = await Gate.closed(lab);
    const handle = await lab.start({ table: 'events', chunkSize: '128kB', where: 'gate(id = 10000)' });
    await gate.reached();
    await waitUntil(async () => (await marks()).length > 3);
    const before = await marks();
    await servers.warehouse?.stop('immediate');
    await gate.open();
    await servers.warehouse?.start();
    await lab.reconnect();
    await expect(handle.result()).resolves.toMatchObject({ rows: 20_000, restarts: 0 });
    await expectSameRows(lab, 'events', 'bronze.br_events');
    expect(await marks()).toEqual(expect.arrayContaining(before));
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('of the source: it begins again on a new snapshot', async () => {
    const gate = await Gate.closed(lab);
    const handle = await lab.start({ table: 'events', chunkSize: '128kB', where: 'gate(id = 10000)' });
    await gate.reached();
    await servers.source?.stop('immediate');
    await servers.source?.start();
    await lab.reconnect();
    await lab.source.query('DELETE FROM events WHERE id % 2 = 0');
    const { restarts } = await handle.result();
    expect(restarts).toBeGreaterThanOrEqual(1);
    const { rows } = await lab.warehouse.query<{ rows: number }>(
      'SELECT count(*)::int AS rows FROM bronze.br_events',
    );
    expect([10_000, 20_000]).toContain(rows[0]?.rows); // as of before the DELETE or after it
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('of both while it commits', async () => {
    const reader = await lab.connect('warehouse');
    await reader.query('BEGIN; SELECT FROM bronze.br_events LIMIT 1');
    const handle = await lab.start({ table: 'events' });
    await waitUntil(async () => (await lab.leftovers()).some((left) => left.includes('LOCK TABLE')));
    await Promise.all([servers.source?.stop('immediate'), servers.warehouse?.stop('immediate')]);
    await Promise.all([servers.source?.start(), servers.warehouse?.start()]);
    await lab.reconnect();
    await expect(handle.result()).resolves.toMatchObject({ rows: 20_000, outcome: 'committed' });
    await expectSameRows(lab, 'events', 'bronze.br_events');
    expect(await lab.leftoversAtLast()).toEqual([]);
  });
});
