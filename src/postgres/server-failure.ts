import { DatabaseError } from 'pg';
import { DatakitError, kindOfSqlState, type FailureKind } from '../contract/failures.ts';

/**
 * What a server or the way to it answered, by kind and in words.
 *
 * Messages of PostgreSQL pass only where they cannot hold a value of a row: those about data
 * (class 22 and 23) are told by their SQLSTATE and column alone, those that somebody's
 * function raised (P0, 38 and 39) by their SQLSTATE.
 *
 * @param where whose session it was: `source "default"`, `warehouse`
 */
export function serverFailure(error: unknown, where: string): DatakitError {
  if (error instanceof DatakitError) return error;
  if (error instanceof DatabaseError && error.code !== undefined) return fromServer(error, error.code, where);
  return fromConnection(error, where);
}

/** The SQLSTATE behind a failure, if a server gave one. */
export function sqlStateOf(error: unknown): string | undefined {
  if (error instanceof DatabaseError) return error.code;
  return error instanceof DatakitError ? sqlStateOf(error.cause) : undefined;
}

function fromServer(error: DatabaseError, sqlState: string, where: string): DatakitError {
  return new DatakitError(
    kindOf(error, sqlState),
    `${where}: ${wording(error, sqlState)} (SQLSTATE ${sqlState})`,
    {
      cause: error,
    },
  );
}

/** 57014 is three things, told apart only by their text. */
function kindOf(error: DatabaseError, sqlState: string): FailureKind {
  if (/conflict with recovery/.test(error.message)) return 'SerializationFailure';
  if (isTooLarge(error)) return 'UnsupportedTable';
  if (sqlState === '57014' && /statement timeout/.test(error.message)) return 'StatementTimeout';
  return kindOfSqlState(sqlState);
}

const wordings: Readonly<Record<string, string>> = {
  '22': 'a value does not fit',
  '23': 'a constraint does not hold',
  '38': 'a function failed',
  '39': 'a function failed',
  P0: 'a function raised an error',
};

/** A function may RAISE any SQLSTATE with any text. */
const wasRaised = ({ routine }: DatabaseError): boolean => routine === 'exec_stmt_raise';

/** `COPY plan_7, line 2, column name: "…"`: what follows the colon, or a line without a column, is data. */
const COPY_CONTEXT = /^COPY plan_\d+, line \d+, column ([^:"]+)(?::|$)/;

/** PostgreSQL has no SQLSTATE of its own for it: of a row "string buffer exceeds …" or "out of memory", of a value in text "invalid memory alloc request size". */
function isTooLarge({ routine, message }: DatabaseError): boolean {
  return routine === 'enlargeStringInfo' || message.startsWith('invalid memory alloc request size');
}

function wording(error: DatabaseError, sqlState: string): string {
  if (isTooLarge(error)) return 'a row is larger than the 1 GB that PostgreSQL can send or compute at once';
  const what = wasRaised(error) ? wordings['P0'] : wordings[sqlState.slice(0, 2)];
  if (what === undefined) return error.message;
  const column = error.column ?? COPY_CONTEXT.exec(error.where ?? '')?.[1];
  return column === undefined ? what : `${what}, in column "${column}"`;
}

const unreachable = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
const lost = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNABORTED']);

function fromConnection(error: unknown, where: string): DatakitError {
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  const options = { cause: error };
  if (/timeout exceeded when trying to connect/.test(message)) {
    return new DatakitError('PoolExhausted', `${where}: no session of the pool came free in time`, options);
  }
  if (message.startsWith('SASL: ')) {
    // node-postgres found that the URL has no password, or one that is not a text
    return new DatakitError('AuthenticationFailed', `${where}: the password was not accepted`, options);
  }
  if (unreachable.has(code) || /connection timeout/i.test(message)) {
    return new DatakitError(
      'Unreachable',
      `${where}: the server cannot be reached (${code || 'timeout'})`,
      options,
    );
  }
  if (lost.has(code) || /connection terminated|connection ended|not queryable/i.test(message)) {
    return new DatakitError('ConnectionLost', `${where}: the connection was lost`, options);
  }
  return new DatakitError('Unexpected', `${where}: ${message}`, options);
}

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}
