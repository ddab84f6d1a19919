import { applicationName } from './application-name.ts';
import { quoteText } from './identifiers.ts';

/**
 * Settings that decide how a server writes and reads values as text. They are set on both sides of every
 * copy, overriding role, database and server, so that text is exact and means the same everywhere.
 */
export const valueSettings = {
  client_encoding: 'UTF8',
  TimeZone: 'UTC',
  DateStyle: 'ISO, MDY',
  IntervalStyle: 'postgres',
  extra_float_digits: '3',
  bytea_output: 'hex',
  lc_monetary: 'C',
  xmloption: 'content',
  array_nulls: 'on',
  quote_all_identifiers: 'off',
  standard_conforming_strings: 'on',
} as const;

/**
 * Lets the server notice within a quarter of an hour that a worker has vanished, because its machine or the network to
 * it failed. With the defaults of most systems, its session would hold snapshot and locks for two hours. It is not less,
 * since a snapshot should outlast the interruptions that the connections of the worker outlast. In seconds; the number of
 * probes, usually nine, is left to the system: not all can set it.
 */
export const keepAliveSettings = { tcp_keepalives_idle: '600', tcp_keepalives_interval: '30' } as const;

export interface SessionLimits {
  /** Run id, shown in pg_stat_activity so that a database administrator knows whose session it is. */
  readonly run?: string;
  /** Milliseconds; the server's own setting if left out. */
  readonly statementTimeout?: number;
  /** Milliseconds. */
  readonly lockTimeout?: number;
  /** Planner and memory settings, by their names in PostgreSQL. */
  readonly settings?: Readonly<Record<string, string>>;
  /** How long the session may be idle in its transaction, in milliseconds; unlimited if left out. */
  readonly idleTimeout?: number;
}

/** The first version with `transaction_timeout`. */
export const TRANSACTION_TIMEOUT_SINCE = 17;

/**
 * Returns `SET LOCAL` statements for the start of a transaction, so that no setting outlives it.
 *
 * @param majorVersion of the server: 17 for 17.5
 */
export function settingsStatement(limits: SessionLimits, majorVersion: number): string {
  const settings: Record<string, string> = {
    ...limits.settings,
    ...valueSettings,
    ...keepAliveSettings,
    // whoever may create objects in a schema of the role's path could otherwise decide what our statements call
    search_path: '',
    application_name: applicationName(limits.run),
    // a snapshot holder, or a chunk whose other side is slow, is idle in its transaction by design
    idle_in_transaction_session_timeout: String(limits.idleTimeout ?? 0),
    // and lasts as long as the copy needs; time limits apply to statements instead
    ...(majorVersion >= TRANSACTION_TIMEOUT_SINCE && { transaction_timeout: '0' }),
  };
  if (limits.statementTimeout !== undefined) settings['statement_timeout'] = String(limits.statementTimeout);
  if (limits.lockTimeout !== undefined) settings['lock_timeout'] = String(limits.lockTimeout);
  return Object.entries(settings)
    .map(([name, value]) => `SET LOCAL ${name} = ${quoteText(value)}`)
    .join('; ');
}

/**
 * A statement that makes the commit of a transaction wait for the disk even if role or database say otherwise: once a
 * slot is told that changes are written, it does not send them again. Any other setting is about standbys, and stays.
 */
export const COMMIT_TO_DISK = `SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`;
