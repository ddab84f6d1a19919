import type { PostgresServer } from '../../local/postgres.ts';
import { administer } from './administer.ts';

/** Only set-up is done by the superuser: what is tested runs with the roles that the documentation asks for. */
export async function createRoles(source: PostgresServer, warehouse: PostgresServer): Promise<void> {
  await createExtractor(source);
  await createLoader(warehouse);
}

export async function createExtractor(server: PostgresServer): Promise<void> {
  await administer(server.url('postgres'), [
    `CREATE ROLE extractor LOGIN REPLICATION PASSWORD 'extractor-secret'; GRANT pg_read_all_data, pg_read_all_stats TO extractor`,
  ]);
}

export async function createLoader(server: PostgresServer): Promise<void> {
  await administer(server.url('postgres'), [
    `CREATE ROLE loader LOGIN PASSWORD 'loader-secret'; GRANT pg_read_all_stats TO loader`,
  ]);
}
