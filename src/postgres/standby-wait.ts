import type { DatabaseClient } from './connect.ts';

/** How long a commit may take, in milliseconds, before it is looked at: nothing ends a wait for a standby. */
export const COMMIT_PATIENCE = 5_000;

/**
 * Returns, in words, what the commit of a session waits for, if that is for standbys to have it too.
 *
 * @param client another session, which is ended
 */
export async function findStandbyWait(
  client: DatabaseClient,
  processId: number,
): Promise<string | undefined> {
  try {
    await client.query(`BEGIN READ ONLY; SET LOCAL search_path = ''`);
    const { rows } = await client.query<{ names: string }>(
      `SELECT current_setting('synchronous_standby_names') AS names
         FROM pg_catalog.pg_stat_activity WHERE pid = $1 AND wait_event = 'SyncRep'`,
      [processId],
    );
    const [row] = rows;
    return row && `a commit waits for standbys (synchronous_standby_names is "${row.names}")`;
  } finally {
    await client.end();
  }
}
