import type { Client } from 'pg';

/** Commits what `work` did, or rolls it back and throws what it threw. */
export async function inTransaction(client: Client, work: () => Promise<void>): Promise<void> {
  await client.query('BEGIN');
  try {
    await work();
    await client.query('COMMIT');
  } catch (error) {
    // A lost connection cannot roll back, and the first error says why.
    await client.query('ROLLBACK').catch(() => {});
    throw error;
  }
}
