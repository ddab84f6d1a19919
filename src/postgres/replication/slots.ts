import { applicationName } from '../application-name.ts';
import type { Session } from '../session.ts';

export interface Slot {
  readonly plugin: string | null;
  readonly database: string | null;
  readonly temporary: boolean;
  /** The walsender that streams from it. */
  readonly activePid: number | null;
  /** The application name of that session. */
  readonly activeApplication: string | null;
  /** `reserved`, `extended`, `unreserved`, or `lost` where the log it needs is removed. */
  readonly walStatus: string | null;
  /** What was acknowledged. */
  readonly confirmed: string | null;
  /** From where the server keeps its log for it. */
  readonly restart: string | null;
}

/** The slot of a name, if there is one. */
export async function findSlot(session: Session, name: string): Promise<Slot | undefined> {
  const [slot] = await session.query<Slot & Record<string, unknown>>(
    `SELECT s.plugin, s.database, s.temporary, s.active_pid AS "activePid", a.application_name AS "activeApplication",
            s.wal_status AS "walStatus", s.confirmed_flush_lsn::text AS confirmed, s.restart_lsn::text AS restart
       FROM pg_catalog.pg_replication_slots s LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
      WHERE s.slot_name = $1`,
    [name],
  );
  return slot;
}

/** Other slots that changes of this database are sent from. Temporary ones only lend their snapshots. */
export async function findSlotsBeside(session: Session, name: string): Promise<string[]> {
  const slots = await session.query<{ name: string }>(
    `SELECT slot_name AS name FROM pg_catalog.pg_replication_slots
      WHERE database = current_database() AND plugin = 'pgoutput' AND NOT temporary AND slot_name <> $1`,
    [name],
  );
  return slots.map(({ name: slot }) => slot);
}

/** Ends the session that streams from a slot, where it is one of this name: an earlier attempt that hangs. */
export async function endStreamOf(session: Session, slot: string, runId: string): Promise<void> {
  await session.query(
    `SELECT pg_terminate_backend(a.pid) FROM pg_catalog.pg_replication_slots s
       JOIN pg_catalog.pg_stat_activity a ON a.pid = s.active_pid
      WHERE s.slot_name = $1 AND a.application_name = $2 AND a.usename = current_user`,
    [slot, applicationName(runId)],
  );
}

/** @returns whether there was one */
export async function dropSlot(session: Session, name: string): Promise<boolean> {
  const dropped = await session.query(
    'SELECT pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1',
    [name],
  );
  return dropped.length > 0;
}

export interface LogPositions {
  /** Where the log ends. */
  readonly end: string;
  /** Bytes that the slot holds back; 0 where there is no slot. */
  readonly heldBack: number;
}

export async function readLogPositions(session: Session, slot: string): Promise<LogPositions> {
  return session.one<LogPositions & Record<string, unknown>>(
    `SELECT pg_current_wal_lsn()::text AS "end",
            coalesce((SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)
                        FROM pg_catalog.pg_replication_slots WHERE slot_name = $1), 0)::float8 AS "heldBack"`,
    [slot],
  );
}

/** By which our own messages are known; they are not logged as changes. */
export const HEARTBEAT_PREFIX = 'datakit-postgres';

/**
 * Writes a message to the log, for streams to find when the transaction has ended; gives a position before its commit.
 *
 * It belongs to the transaction, because the end of that brings it to the disk, and only what is there is sent: a message
 * of its own stays in memory for as long as nobody else writes. No standby is waited for.
 */
export async function writeHeartbeat(session: Session, content: string): Promise<string> {
  await session.query('SET LOCAL synchronous_commit = local');
  const { lsn } = await session.one<{ lsn: string }>(
    'SELECT pg_logical_emit_message(true, $1, $2)::text AS lsn',
    [HEARTBEAT_PREFIX, content],
  );
  return lsn;
}

/** Who keeps a new slot waiting: transactions that write, the oldest first. */
export async function describeWriters(session: Session): Promise<string[]> {
  const rows = await session.query<{ text: string }>(
    `SELECT format('process %s (%s, role %s, since %s)', pid, coalesce(nullif(application_name, ''), 'unnamed'), usename, xact_start) AS text
       FROM pg_catalog.pg_stat_activity
      WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() ORDER BY xact_start LIMIT 5`,
  );
  const prepared = await session.query<{ text: string }>(
    `SELECT format('prepared transaction %s (role %s, since %s)', quote_literal(gid), owner, prepared) AS text
       FROM pg_catalog.pg_prepared_xacts ORDER BY prepared LIMIT 5`,
  );
  return [...rows, ...prepared].map(({ text }) => text);
}
