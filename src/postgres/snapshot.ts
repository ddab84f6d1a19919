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
  const { id, ...own } = await session.one<MomentRow & { id: string }>(
    `SELECT pg_export_snapshot() AS id, ${MOMENT}`,
  );
  return from === undefined ? { ...momentOf(own), id } : { ...from, id, sees: own.sees };
}

/** SQL: which transactions a snapshot sees, in a short text. */
const SEES = `hashtextextended(txid_current_snapshot()::text, 0)::text`;

/** SQL: when this transaction's snapshot was taken, and the log position then; null on a standby without replay. */
const MOMENT = `to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS "takenAt",
  (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END)::text AS lsn, ${SEES} AS sees`;

type MomentRow = Required<Pick<Snapshot, 'takenAt' | 'sees'>> & { readonly lsn: string | null };

export type Moment = Omit<Snapshot, 'id'>;

const momentOf = ({ takenAt, lsn, sees }: MomentRow): Moment => ({
  takenAt,
  ...(lsn !== null && { lsn }),
  sees,
});

/** Makes this transaction use the given snapshot, or else take its own now; returns the moment it shows. */
export async function enterSnapshot(session: Session, snapshot: Snapshot | undefined): Promise<Moment> {
  if (snapshot === undefined) return momentOf(await session.one<MomentRow>(`SELECT ${MOMENT}`));
  await importSnapshot(session, snapshot);
  return snapshot;
}

/** SQLSTATEs for a snapshot whose holder is gone: no file, no such identifier, no longer running, another one. */
const gone = new Set(['42704', '22023', '55000', '22P02']);

/**
 * Makes this transaction see what the holder of the snapshot sees. Must come before any query of the transaction.
 *
 * Ids are made of small numbers: a server that was started again uses them once more, and so do other servers to which
 * the same name leads.
 *
 * @throws {DatakitError} SnapshotLost if its holder is gone, which no retry with the same identifier can fix
 */
export async function importSnapshot(session: Session, { id, sees }: Snapshot): Promise<void> {
  const enter = `SET TRANSACTION SNAPSHOT ${quoteText(id)}`;
  try {
    await session.query(sees === undefined ? enter : `${enter}; ${requireSeen(sees)}`);
  } catch (error) {
    if (!gone.has(sqlStateOf(error) ?? '')) throw error;
    throw new DatakitError(
      'SnapshotLost',
      'The exported snapshot is gone: the session that held it ended, or this one is on another server (behind a load balancer, for example)',
      { cause: error },
    );
  }
}

/** SQL that fails, with words for the server's log, if this transaction sees something else. */
const requireSeen = (sees: string): string =>
  `SELECT CASE WHEN ${SEES} = ${quoteText(sees)} THEN '1' ELSE 'another snapshot of the same name' END::int`;
