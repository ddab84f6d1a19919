import type { Client } from 'pg';
import { showAttempt } from '../../src/postgres/attempt-lock.ts';

/** What activities outside of a worker are an attempt at, as Temporal's mock environment names it. */
const activityId = 'test';

/** Begins a transaction of an attempt that hangs in the middle of it. @param label of the database */
export async function beginHanging(client: Client, label: string, run: string): Promise<void> {
  const attempt = { activityId, number: 1, scheduledAt: 0, attemptedAt: 0 };
  await client.query(['BEGIN', ...showAttempt(label, { run, attempt })].join('; '));
}
