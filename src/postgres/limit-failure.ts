import { DatakitError } from '../contract/failures.ts';
import { formatDuration } from '../contract/quantities.ts';
import { sqlStateOf } from './server-failure.ts';
import type { SessionLimits } from './session-settings.ts';

/** By SQLSTATE: the PostgreSQL setting that ended a statement or its session, and the limit here that sets it. */
const limitOfState = {
  '57014': ['statement_timeout', 'statementTimeout'],
  '55P03': ['lock_timeout', 'lockTimeout'],
  '25P03': ['idle_in_transaction_session_timeout', 'idleTimeout'],
} as const;

const isLimited = (state: string): state is keyof typeof limitOfState => state in limitOfState;

/** The input is for statements that read the source; those that write the warehouse have only this limit. */
const RAISE_IT_THERE =
  'Raise it there (where the source is read, the input "statementTimeout" overrides it), or choose a smaller "chunkSize".';

/** Returns the failure; for a timeout, with the name of its setting and the value or where it was set. */
export function namingLimit(failure: DatakitError, limits: SessionLimits): DatakitError {
  const state = sqlStateOf(failure) ?? '';
  if (!isLimited(state)) return failure;
  const [setting, input] = limitOfState[state];
  // a statement that somebody cancelled has the same SQLSTATE
  if (state === '57014' && failure.kind !== 'StatementTimeout') return failure;
  if (failure.message.includes(setting)) return failure;
  const limit = limits[input];
  const origin =
    limit === undefined
      ? `${setting}, which the options of the connection, the role, the database or the server set`
      : `${setting}, ${formatDuration(limit)}`;
  const advice = limit === undefined && setting === 'statement_timeout' ? RAISE_IT_THERE : failure.advice;
  return new DatakitError(failure.kind, `${failure.message}: it ran into ${origin}`, {
    cause: failure.cause,
    ...(advice !== undefined && { advice }),
  });
}
