import type { LocalStack } from '../local/stack.ts';
import { execute, inDatabase, query } from './execute.ts';

/** Catalogs that grow when tables are created and dropped. */
const CATALOGS = [
  'pg_class',
  'pg_attribute',
  'pg_attrdef',
  'pg_type',
  'pg_depend',
  'pg_shdepend',
  'pg_constraint',
  'pg_index',
  'pg_inherits',
];

type Servers = Pick<LocalStack, 'sourceUrl' | 'warehouseUrl'>;

/** Turns off autovacuum, which could otherwise clean up after one run during another. */
export async function withoutAutovacuum({ sourceUrl, warehouseUrl }: Servers): Promise<void> {
  for (const url of [sourceUrl, warehouseUrl]) {
    await execute(url, 'ALTER SYSTEM SET autovacuum = off');
    await execute(url, 'SELECT pg_reload_conf()');
  }
}

/** Vacuums and checkpoints, so that leftovers of one copy do not slow down the next. */
export async function settle({ sourceUrl, warehouseUrl }: Servers): Promise<void> {
  for (const url of [sourceUrl, warehouseUrl]) {
    const databases = await query<{ name: string }>(
      url,
      'SELECT datname AS name FROM pg_database WHERE datallowconn AND NOT datistemplate',
    );
    for (const { name } of databases) await execute(inDatabase(url, name), `VACUUM ${CATALOGS.join(', ')}`);
    await execute(url, 'CHECKPOINT');
  }
}
