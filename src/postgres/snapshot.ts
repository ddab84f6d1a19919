import { DatakitError } from '../contract/failures.ts';
import type { Snapshot } from '../contract/activities.ts';
import { quoteText } from './identifiers.ts';
import { sqlStateOf } from './server-failure.ts';
import type { Session } from './session.ts';

/**
 * Makes the snapshot of this transaction available to others, for as long as the transaction lives.
 *
 * @param from one to be entered first and then shared under another name: it is still the same moment
 */
export async function exportSnapshot(session: Session, from?: Snapshot): Promise<Snapshot> {
  if (from !== undefined) await importSnapshot(session, from);
  const { id, taken_at, lsn } = await session.one<{ id: string; taken_at: string; lsn: string | null }>(
    `SELECT pg_export_snapshot() AS id, ${MOMENT}`,
  );
  return from === undefined ? { id, takenAt: taken_at, ...(lsn !== null && { lsn }) } : { ...from, id };
}

/** When this transaction's snapshot was taken, and how far the write-ahead log was then; null on a standby that replays none. */
const MOMENT = `to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS taken_at,
  (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn`;

export type Moment = Omit<Snapshot, 'id'>;

/** Lets this transaction see what a snapshot has, or else the moment at which it is asked. */
export async function enterSnapshot(session: Session, snapshot: Snapshot | undefined): Promise<Moment> {
  if (snapshot !== undefined) {
    await importSnapshot(session, snapshot);
    return snapshot;
  }
  const { taken_at, lsn } = await session.one<{ taken_at: string; lsn: string | null }>(`SELECT ${MOMENT}`);
  return { takenAt: taken_at, ...(lsn !== null && { lsn }) };
}

/** What PostgreSQL answers for a snapshot whose holder is gone: no file, no such identifier, not running any more. */
const gone = new Set(['42704', '22023', '55000']);

/**
 * Lets this transaction see what the holder of the snapshot sees. Must come before any query of it.
 *
 * @throws {DatakitError} SnapshotLost when its holder is gone, which no retry with the same identifier can mend
 */
export async function importSnapshot(session: Session, snapshot: Snapshot): Promise<void> {
  try {
    await session.query(`SET TRANSACTION SNAPSHOT ${quoteText(snapshot.id)}`);
  } catch (error) {
    if (!gone.has(sqlStateOf(error) ?? '')) throw error;
    throw new DatakitError(
      'SnapshotLost',
      'The exported snapshot is gone, because the session that held it ended',
      {
        cause: error,
      },
    );
  }
}
