import { DatakitError } from '../contract/failures.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { quoteText } from './identifiers.ts';
import { sqlStateOf } from './server-failure.ts';
import type { Session } from './session.ts';

/**
 * Exports the snapshot of this transaction to others, for as long as the transaction lives.
 *
 * @param from a snapshot to import first and export under another id: it is still of the same moment
 */
export async function exportSnapshot(session: Session, from?: Snapshot): Promise<Snapshot> {
  if (from !== undefined) await importSnapshot(session, from);
  const { id, taken_at, lsn } = await session.one<{ id: string; taken_at: string; lsn: string | null }>(
    `SELECT pg_export_snapshot() AS id, ${MOMENT}`,
  );
  return from === undefined ? { id, takenAt: taken_at, ...(lsn !== null && { lsn }) } : { ...from, id };
}

/** SQL: when this transaction's snapshot was taken, and the log position then; null on a standby without replay. */
const MOMENT = `to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS taken_at,
  (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn`;

export type Moment = Omit<Snapshot, 'id'>;

/** Makes this transaction use the given snapshot, or else take its own now; returns the moment it shows. */
export async function enterSnapshot(session: Session, snapshot: Snapshot | undefined): Promise<Moment> {
  if (snapshot !== undefined) {
    await importSnapshot(session, snapshot);
    return snapshot;
  }
  const { taken_at, lsn } = await session.one<{ taken_at: string; lsn: string | null }>(`SELECT ${MOMENT}`);
  return { takenAt: taken_at, ...(lsn !== null && { lsn }) };
}

/** SQLSTATEs for a snapshot whose holder is gone: no file, no such identifier, no longer running. */
const gone = new Set(['42704', '22023', '55000']);

/**
 * Makes this transaction see what the holder of the snapshot sees. Must come before any query of the transaction.
 *
 * @throws {DatakitError} SnapshotLost if its holder is gone, which no retry with the same identifier can fix
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
