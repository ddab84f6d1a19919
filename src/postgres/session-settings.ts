import { applicationName } from './application-name.ts';
import { quoteText } from './identifiers.ts';

/**
 * What decides how a server writes and reads values as text, set on both sides of every copy,
 * whatever role, database or server say: with these, text is exact and means the same everywhere.
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

export interface SessionLimits {
  /** The run id, shown in pg_stat_activity, so that a database administrator knows whose session it is. */
  readonly run?: string;
  /** Milliseconds; the server's own setting where left out. */
  readonly statementTimeout?: number;
  /** Milliseconds. */
  readonly lockTimeout?: number;
  /** Settings of the planner and its memory, by their names in PostgreSQL. */
  readonly settings?: Readonly<Record<string, string>>;
  /** How long the session may be idle in its transaction, in milliseconds; for ever where left out. */
  readonly idleTimeout?: number;
}

/** The first version that limits whole transactions. */
export const TRANSACTION_TIMEOUT_SINCE = 17;

/**
 * `SET LOCAL` statements for the start of a transaction, so that no setting outlives it.
 *
 * @param majorVersion of the server: 17 for 17.5
 */
export function settingsStatement(limits: SessionLimits, majorVersion: number): string {
  const settings: Record<string, string> = {
    ...limits.settings,
    ...valueSettings,
    // whoever may create objects in a schema of the role's path would decide what our statements call
    search_path: '',
    application_name: applicationName(limits.run),
    // a holder of a snapshot, or a chunk whose other side is slow, is idle in its transaction by design
    idle_in_transaction_session_timeout: String(limits.idleTimeout ?? 0),
    // and lasts for as long as the copy needs it; what may take how long is said for statements
    ...(majorVersion >= TRANSACTION_TIMEOUT_SINCE && { transaction_timeout: '0' }),
  };
  if (limits.statementTimeout !== undefined) settings['statement_timeout'] = String(limits.statementTimeout);
  if (limits.lockTimeout !== undefined) settings['lock_timeout'] = String(limits.lockTimeout);
  return Object.entries(settings)
    .map(([name, value]) => `SET LOCAL ${name} = ${quoteText(value)}`)
    .join('; ');
}
