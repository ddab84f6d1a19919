import type { Client } from 'pg';
import { waitUntil } from './wait-until.ts';

/** Waits until a session waits for a lock on a table. In databases of other files a table may have the same OID. */
export async function untilWaitedFor(client: Client, table: string): Promise<void> {
  const waiting = `SELECT FROM pg_locks WHERE NOT granted AND relation = $1::regclass
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  await waitUntil(async () => (await client.query(waiting, [table])).rowCount !== 0);
}
