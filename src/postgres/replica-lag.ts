import { DatakitError } from '../contract/failures.ts';
import { formatDuration } from '../contract/quantities.ts';
import type { Session } from './session.ts';

/**
 * Returns how far a replica is behind its primary, in milliseconds; 0 for a primary.
 *
 * The time of the last replayed transaction says nothing while nobody writes on the primary, so a
 * replica that is receiving, and has replayed all it received, counts as not behind.
 */
export async function readReplicaLag(session: Session): Promise<number> {
  const { lag } = await session.one<{ lag: number | null }>(
    `SELECT CASE
       WHEN NOT pg_is_in_recovery() THEN 0
       WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn()
            AND EXISTS (SELECT FROM pg_catalog.pg_stat_wal_receiver) THEN 0
       ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) * 1000
     END::float8 AS lag`,
  );
  return lag ?? 0;
}

/** @throws {DatakitError} ReplicaLagging, to be retried once it has caught up */
export async function requireFreshReplica(session: Session, most: number | undefined): Promise<void> {
  if (most === undefined) return;
  const lag = await readReplicaLag(session);
  if (lag <= most) return;
  throw new DatakitError(
    'ReplicaLagging',
    `the source is a replica that is ${formatDuration(lag)} behind its primary, and "maxReplicaLag" is ${formatDuration(most)}`,
  );
}
