import { applicationName } from '../application-name.ts';
import { endSessions } from '../end-sessions.ts';
import { quoteText } from '../identifiers.ts';
import { commitHere } from '../commit-here.ts';
import type { Session } from '../session.ts';
import { OWN_PREFIX } from './own-messages.ts';

export interface Slot {
  readonly plugin: string | null;
  readonly database: string | null;
  readonly temporary: boolean;
  /** Process id of the walsender that streams from it. */
  readonly activePid: number | null;
  /** The application name of that session. */
  readonly activeApplication: string | null;
  /** `reserved`, `extended`, `unreserved`, or `lost` if the log it needs has been removed. */
  readonly walStatus: string | null;
  /** The position that was acknowledged. */
  readonly confirmed: string | null;
  /** The position from which the server keeps its log for it. */
  readonly restart: string | null;
}

/** Finds a slot by its name. */
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

/** Returns other slots that send changes of this database; not temporary ones, which only lend their snapshots. */
export async function findSlotsBeside(session: Session, name: string): Promise<string[]> {
  const slots = await session.query<{ name: string }>(
    `SELECT slot_name AS name FROM pg_catalog.pg_replication_slots
      WHERE database = current_database() AND plugin = 'pgoutput' AND NOT temporary AND slot_name <> $1`,
    [name],
  );
  return slots.map(({ name: slot }) => slot);
}

/** Ends the session that streams from a slot, if it belongs to this run: an earlier attempt that hangs. */
export async function endStreamOf(session: Session, slot: string, runId: string): Promise<void> {
  await endReaders(session, runId, `s.slot_name = ${quoteText(slot)}`);
}

/** @param which a condition on `s`, a row of pg_replication_slots */
async function endReaders(session: Session, runId: string, which: string): Promise<void> {
  await endSessions(
    session,
    `a.application_name = ${quoteText(applicationName(runId))} AND EXISTS (
       SELECT FROM pg_catalog.pg_replication_slots s WHERE s.active_pid = a.pid AND ${which})`,
  );
}

/** Names a slot that only lends its snapshot to a copy. @param holder whose last characters tell it from others */
export const copySlotName = (slot: string, holder: string): string =>
  `${copySlotPrefix(slot)}${holder.slice(-8)}_copy`;

/** The server allows 63 bytes. */
const copySlotPrefix = (slot: string): string => `${slot.slice(0, 40)}_`;

/**
 * Ends the sessions of a run that make or hold slots for copies, and these slots with them. One that waits for open
 * transactions does not notice that its client is gone.
 */
export async function endCopySlots(session: Session, slot: string, runId: string): Promise<void> {
  const isOfSlot = `starts_with(s.slot_name::text, ${quoteText(copySlotPrefix(slot))})`;
  await endReaders(session, runId, `s.temporary AND s.slot_name::text ~ '_copy$' AND ${isOfSlot}`);
}

/** @returns true if there was one */
export async function dropSlot(session: Session, name: string): Promise<boolean> {
  const dropped = await session.query(
    'SELECT pg_drop_replication_slot(slot_name) FROM pg_catalog.pg_replication_slots WHERE slot_name = $1',
    [name],
  );
  return dropped.length > 0;
}

export interface LogPositions {
  /** End of the log. */
  readonly end: string;
  /** Bytes of log that the slot holds back; 0 if there is no slot. */
  readonly heldBack: number;
}

export async function readLogPositions(session: Session, slot: string): Promise<LogPositions> {
  return session.one<LogPositions & Record<string, unknown>>(
    `SELECT pg_current_wal_lsn()::text AS "end",
            greatest((SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)
                        FROM pg_catalog.pg_replication_slots WHERE slot_name = $1), 0)::float8 AS "heldBack"`,
    [slot],
  );
}

/**
 * Writes a message to the log that streams receive after the transaction ends; returns a position before its commit.
 *
 * The message is transactional because the commit flushes it to disk, and only flushed log is sent: any other message
 * stays in memory for as long as nobody else writes. Standbys are not waited for.
 */
export async function writeHeartbeat(session: Session, content: string): Promise<string> {
  await commitHere(session);
  const { lsn } = await session.one<{ lsn: string }>(
    'SELECT pg_logical_emit_message(true, $1, $2)::text AS lsn',
    [OWN_PREFIX, content],
  );
  return lsn;
}

/** Describes who keeps a new slot waiting: transactions that write, oldest first. */
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
