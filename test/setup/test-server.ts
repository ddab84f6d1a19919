import { constants } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { startPostgres, type PostgresOptions, type PostgresServer } from '../../local/postgres.ts';

const SHARED_MEMORY = '/dev/shm';
/** All servers of `npm test` together hold about 0.5 GB. */
const ROOM_BYTES = 2 * 2 ** 30;

/** Turns off what only a crash of the system would need, and what takes locks at moments of its own. */
const SETTINGS = { fsync: 'off', full_page_writes: 'off', wal_init_zero: 'off', autovacuum: 'off' };

/** Starts a server for data that nobody needs later, in memory where there is room. */
export async function startTestServer(
  options: Omit<PostgresOptions, 'directory'> = {},
): Promise<PostgresServer> {
  const settings = { ...SETTINGS, ...options.settings };
  const directory = await memory();
  return startPostgres({ ...options, settings, ...(directory !== undefined && { directory }) });
}

/**
 * Tests create and remove thousands of files. Some file systems search long for a place for each new one when many
 * have just been removed: on ext4 without a journal, a database takes half a second of CPU.
 */
async function memory(): Promise<string | undefined> {
  try {
    await access(SHARED_MEMORY, constants.W_OK);
    const { bavail, bsize } = await statfs(SHARED_MEMORY);
    return bavail * bsize >= ROOM_BYTES ? SHARED_MEMORY : undefined;
  } catch {
    return undefined;
  }
}
