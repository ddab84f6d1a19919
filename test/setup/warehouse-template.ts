import type { PostgresServer } from '../../local/postgres.ts';
import { migrate } from '../../src/bronze/migrate.ts';
import { Database } from '../../src/postgres/database.ts';
import { administer } from './administer.ts';
import { connectionTo } from './connection-to.ts';
import { grantsOnWarehouse } from './roles.ts';

/** A warehouse already migrated by a worker. Labs copy it, since migrating takes a quarter of a second of CPU. */
export const WAREHOUSE_TEMPLATE = 'migrated_warehouse';

export async function createWarehouseTemplate(server: PostgresServer): Promise<void> {
  await administer(server.url('postgres'), [
    `CREATE DATABASE ${WAREHOUSE_TEMPLATE}`,
    ...grantsOnWarehouse(WAREHOUSE_TEMPLATE),
  ]);
  const url = new URL(server.url(WAREHOUSE_TEMPLATE));
  Object.assign(url, { username: 'loader', password: 'loader-secret' });
  const warehouse = new Database({ label: 'warehouse', settings: connectionTo(url.href) });
  await migrate(warehouse);
  await warehouse.close();
}
