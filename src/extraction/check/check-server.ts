import { fine, problem, warning, type Finding } from '../../contract/check-source.ts';
import { listed } from '../../contract/listed.ts';
import { counted, formatBytes, formatDuration } from '../../contract/quantities.ts';
import { readConnections } from '../../postgres/connections-left.ts';
import { readReplicaLag } from '../../postgres/replica-lag.ts';
import type { Session } from '../../postgres/session.ts';
import { checkSessionsOfOthers } from './hidden-sessions.ts';

/** Checks of a source server and of what its role may do. */
export const serverChecks = {
  version: checkVersion,
  role: checkRole,
  replica: checkReplica,
  timeouts: checkTimeouts,
  connections: checkConnections,
  'change data capture': checkReplication,
  slots: checkSlots,
} as const;

async function checkVersion(session: Session): Promise<Finding> {
  const { version, number } = await session.one<{ version: string; number: number }>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number`,
  );
  const found = `PostgreSQL ${version}`;
  if (number < 12_00_00)
    return problem('version', found, 'Use PostgreSQL 14 or later; 12 and 13 work in part.');
  if (number < 14_00_00) {
    return warning('version', found, 'Tables are one chunk each: chunks need PostgreSQL 14 or later.');
  }
  return fine('version', found);
}

async function checkRole(session: Session): Promise<Finding[]> {
  const role = await session.one<{ name: string; superuser: boolean; bypass: boolean }>(
    `SELECT rolname AS name, rolsuper AS superuser, rolbypassrls AS bypass
       FROM pg_catalog.pg_roles WHERE rolname = current_user`,
  );
  const found = `${role.name}${role.bypass ? ', which bypasses row-level security' : ''}`;
  return [
    role.superuser
      ? warning(
          'role',
          `${role.name} is a superuser`,
          'Use a role that may only read: see docs/connections.md.',
        )
      : fine('role', found),
    await checkSessionsOfOthers(session, 'transactions of others', transactionsOfOthers),
  ];
}

const transactionsOfOthers = {
  seen: 'the role sees when they began',
  privilege: {
    found: 'the role does not see when they began',
    advice:
      'GRANT pg_read_all_stats to it, so that checkpoints of incremental runs can wait for them; "lookback" is all that protects them otherwise.',
  },
  tracking: {
    found: 'when they began',
    means:
      '"lookback" is all that protects checkpoints from them otherwise, and "onlyChanged" skips nothing.',
  },
};

async function checkReplica(session: Session): Promise<Finding> {
  const { replica, feedback, delay } = await session.one<{
    replica: boolean;
    feedback: string;
    delay: string;
  }>(
    `SELECT pg_is_in_recovery() AS replica, current_setting('hot_standby_feedback') AS feedback,
            current_setting('max_standby_streaming_delay') AS delay`,
  );
  if (!replica) return fine('replica', 'the server is a primary');
  const lag = formatDuration(await readReplicaLag(session));
  if (feedback === 'on')
    return fine('replica', `the server is a replica, ${lag} behind, with hot_standby_feedback`);
  return warning(
    'replica',
    `the server is a replica, ${lag} behind; its primary may remove rows that a run still reads (max_standby_streaming_delay ${delay})`,
    'Set hot_standby_feedback = on there, or raise max_standby_streaming_delay beyond the length of a run.',
  );
}

/** Milliseconds. A shorter statement_timeout may end the copy of a chunk. */
const SHORT = 10 * 60_000;

async function checkTimeouts(session: Session): Promise<Finding> {
  // by reset_val, since this transaction sets its own
  const rows = await session.query<{ name: string; limit: number }>(
    `SELECT name, reset_val::bigint::int AS limit FROM pg_catalog.pg_settings
      WHERE name IN ('statement_timeout', 'lock_timeout', 'idle_session_timeout') AND reset_val::bigint > 0`,
  );
  const told = rows.map(({ name, limit }) => `${name} ${formatDuration(limit)}`);
  const short = rows.some(({ name, limit }) => name === 'statement_timeout' && limit < SHORT);
  if (!short) return fine('timeouts', told.length === 0 ? 'none by default' : told.join(', '));
  return warning(
    'timeouts',
    told.join(', '),
    'A copy of a chunk is one statement. Choose "statementTimeout" for the run, a smaller "chunkSize", or ALTER ROLE … SET statement_timeout.',
  );
}

/** Enough for a run with the default parallelism, with some left for other users. */
const WANTED_CONNECTIONS = 10;

async function checkConnections(session: Session): Promise<Finding> {
  const { free, most } = await readConnections(session);
  const found = `${free} of ${most} are left for the role`;
  if (free >= WANTED_CONNECTIONS) return fine('connections', found);
  return warning(
    'connections',
    found,
    'A run uses one for each parallel copy and two for its snapshot: lower "parallelism" or "maxSourceConnections", or raise max_connections.',
  );
}

async function checkReplication(session: Session): Promise<Finding> {
  const { replica, level, slots, senders, allowed } = await session.one<{
    replica: boolean;
    level: string;
    slots: number;
    senders: number;
    allowed: boolean;
  }>(
    `SELECT pg_is_in_recovery() AS replica, current_setting('wal_level') AS level,
            current_setting('max_replication_slots')::int - (SELECT count(*)::int FROM pg_catalog.pg_replication_slots) AS slots,
            current_setting('max_wal_senders')::int - (SELECT count(*)::int FROM pg_catalog.pg_stat_replication) AS senders,
            (SELECT rolreplication OR rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user) AS allowed`,
  );
  const missing = [
    ...(replica ? ['the server is a replica, and changes are captured from its primary'] : []),
    ...(level === 'logical' ? [] : [`wal_level is ${level} and not logical`]),
    ...(slots > 0 ? [] : ['no replication slot is left (max_replication_slots)']),
    ...(senders > 0 ? [] : ['no WAL sender is left (max_wal_senders)']),
    ...(allowed ? [] : ['the role lacks REPLICATION']),
  ];
  if (missing.length === 0)
    return fine(
      'change data capture',
      `possible; left are ${counted(slots, 'slot')} and ${counted(senders, 'WAL sender')}`,
    );
  return fine('change data capture', `not possible, which only captures need: ${missing.join(', ')}`);
}

/**
 * Checks the slots of all databases, since each of them holds back the log of the whole server. A new one may begin after
 * what has been written of the log. On a standby, those that it synchronizes are there to be read by nobody.
 */
async function checkSlots(session: Session): Promise<Finding> {
  const slots = await session.query<{ name: string; active: boolean; kept: string | null }>(
    `SELECT slot_name AS name, active,
            CASE WHEN NOT pg_is_in_recovery() THEN greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0) END AS kept
       FROM pg_catalog.pg_replication_slots s
      WHERE NOT (pg_is_in_recovery() AND coalesce((to_jsonb(s) ->> 'synced')::boolean, false)) -- no version before 17 has it
      ORDER BY kept DESC NULLS LAST`,
  );
  const unread = slots.filter(({ active }) => !active);
  if (unread.length === 0)
    return fine('slots', slots.length === 0 ? 'none' : `${slots.length}, all being read`);
  const told = unread.map(({ name, kept }) =>
    kept === null ? `"${name}"` : `"${name}" (holds back ${formatBytes(Number(kept))} of the log)`,
  );
  return warning(
    'slots',
    `nobody reads ${listed(told, 5)}`,
    'The log that they hold back grows until it fills the disk. That of a capture that is paused or has failed is needed when the capture goes on; drop those that nobody needs (dropCapture, pg_drop_replication_slot).',
  );
}
