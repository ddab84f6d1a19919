import { DatabaseError } from 'pg';
import { affectsEveryTable, DatakitError, kindOfSqlState, type FailureKind } from '../contract/failures.ts';

/**
 * Converts an error of a server, or of the connection to it, to a failure with a kind and a message.
 *
 * Messages of PostgreSQL pass only if they cannot contain a value of a row: errors about data
 * (classes 22 and 23) are reported by SQLSTATE and column alone, those that a user's function
 * raised (P0, 38 and 39), those of other servers, and those about a text that was evaluated
 * ({@link isAboutText}), by SQLSTATE.
 *
 * @param where whose session it was: `source "default"`, `warehouse`
 * @param address of the server, if the failure may be that it cannot be reached
 */
export function serverFailure(error: unknown, where: string, address?: string): DatakitError {
  if (error instanceof DatakitError) return error;
  if (error instanceof Unconnectable) return new DatakitError(error.kind, `${where}: ${error.message}`);
  if (error instanceof DatabaseError && error.code !== undefined) return fromServer(error, error.code, where);
  return fromConnection(error, where, address);
}

/** A failure to connect that lies on this side, such as a missing password. Its message does not name the server. */
export class Unconnectable extends Error {
  override name = 'Unconnectable';
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** Returns the SQLSTATE behind a failure, if a server gave one. */
export function sqlStateOf(error: unknown): string | undefined {
  return answerOf(error)?.code;
}

/** Returns what the server answered, if an error comes from one. */
function answerOf(error: unknown): DatabaseError | undefined {
  if (error instanceof DatakitError) return answerOf(error.cause);
  return error instanceof DatabaseError ? error : undefined;
}

/** Returns the server's own message, which may contain values: only for statements that no row goes into. */
export function ownWords(error: Error): string {
  return error instanceof DatakitError && error.cause instanceof DatabaseError
    ? error.cause.message
    : error.message;
}

/** Returns what depends on an object that cannot be changed because of it, as the server says: names only, no values. */
export function dependentsOf(error: unknown): string | undefined {
  const { detail, code, file } = answerOf(error) ?? {};
  // a view on a column whose type is to change has no SQLSTATE of its own
  const isAboutThem = code === '2BP01' || (code === '0A000' && file === 'tablecmds.c');
  return isAboutThem ? detail?.replaceAll('\n', '; ') : undefined;
}

/** Returns the name of the index or constraint that rows violate. */
export const violatedIndex = (error: unknown): string | undefined => answerOf(error)?.constraint;

/** Returns true if a function that somebody wrote raised the error. */
export function isRaised(error: unknown): boolean {
  const answer = answerOf(error);
  return answer !== undefined && (/^(P0|38|39)/.test(answer.code ?? '') || answer.routine === RAISE);
}

/** Returns true if waiting for a lock timed out. */
export const isLockTimeout = (error: unknown): boolean => sqlStateOf(error) === '55P03';

function fromServer(error: DatabaseError, sqlState: string, where: string): DatakitError {
  const kind = kindOf(error, sqlState);
  return new DatakitError(kind, `${where}: ${wording(error, sqlState)} (SQLSTATE ${sqlState})`, {
    cause: error,
    ...(isAboutLocks(error) && { advice: MORE_LOCKS }),
    ...(kind === 'ReadOnlyServer' && where !== 'warehouse' && { advice: PRIMARY_OF_SOURCE }),
  });
}

/** The kind's own advice is for the warehouse, which is written to most. */
const PRIMARY_OF_SOURCE =
  'Point the connection URL of the source at the primary, with default_transaction_read_only off.';

/** The hint of a full lock table names the setting in every language; the message is only about memory. */
const isAboutLocks = ({ hint }: DatabaseError): boolean =>
  hint?.includes('max_locks_per_transaction') === true;

const MORE_LOCKS =
  'Raise max_locks_per_transaction of that server, and restart it: a statement over a table locks each of its partitions and each of their indexes, and a chunk each large object that it copies in parts. More memory does not help.';

/** Messages of PgBouncer about what a server would have accepted. */
const POOLER = /unsupported startup parameter|not allowed in statement pooling mode/;

/**
 * Returns the kind of an error. Some SQLSTATEs mean several things. What tells them apart must be the same in every
 * language that a server may speak: names of settings and routines, and texts that are not translated.
 */
function kindOf(error: DatabaseError, sqlState: string): FailureKind {
  // of a replica that replays a change and a query that wait for each other
  if (error.routine === 'CheckRecoveryConflictDeadlock') return 'SerializationFailure';
  if (sqlState === '08P01' && POOLER.test(error.message)) return 'PoolerInTheWay';
  if (isTooLarge(error)) return 'UnsupportedTable';
  // "query would be affected by row-level security policy", with row_security = off
  if (sqlState === '42501' && error.routine === 'check_enable_rls') return 'RowsHidden';
  // unlike other configured limits it applies to the session itself, so nobody else can free anything
  if (sqlState === '53400' && /temp_file_limit/.test(error.message)) return 'OutOfMemory';
  if (isAboutText(error, sqlState) && passedOn(error) === undefined) return 'InvalidValue';
  const kind = kindOfSqlState(sqlState);
  // that every other table would fail too is true of the source only
  return affectsEveryTable(kind) && isOfOtherServer(error) ? 'ForeignServerFailed' : kind;
}

/** Returns true if postgres_fdw or dblink raised the error, about the server that they ask or the way to it. */
const isOfOtherServer = ({ file = '' }: DatabaseError): boolean => /^(connection|dblink)\.c$/.test(file);

/** By SQLSTATE or its class. */
const wordings: Readonly<Record<string, string>> = {
  '22012': 'a division by zero',
  '22': 'a value does not fit',
  '22021': 'a text has bytes that are no characters of its encoding',
  '22P05': 'a text has a character that the encoding of the other side lacks',
  '23': 'a constraint was violated',
  '38': 'a function failed',
  '39': 'a function failed',
  P0: 'a function raised an error',
};

const RAISE = 'exec_stmt_raise';

/** By routine, errors whose SQLSTATE and text others chose: those of RAISE, and of a server that the source asked. */
const wordingsOfOthers: ReadonlyMap<string | undefined, string> = new Map([
  [RAISE, 'a function raised an error'],
  ['pgfdw_report_error', 'the server of a foreign table answered with an error'],
  ['dblink_res_error', 'a server that dblink asked answered with an error'],
]);

/** Returns how to word an error whose SQLSTATE and text others chose. */
const passedOn = ({ routine }: DatabaseError): string | undefined => wordingsOfOthers.get(routine);

/** Source files of PostgreSQL whose errors quote only names in a statement, even where they give no position in it. */
const OF_STATEMENTS =
  /^(aclchk|heap|index|dependency|(table|index|type|publication|schema|view|lock|stats)cmds|view|copy\w*|trigger|slot\w*|inv_api|be-fsstubs|logical|pgoutput|walsender|postinit|lsyscache|rls|rewriteHandler|pg_\w+)\.c$/;

/** Classes with errors of syntax and of names, which quote the name or the text. */
const QUOTING = new Set(['0A', '3D', '3F', '42', '54']);

/** In classes that are mostly about other things: the source files whose errors quote a text. */
const quotingSources: Readonly<Record<string, RegExp>> = { '0A': /^namespace\.c$/, '54': /^tsquery/ };

/**
 * Returns true if a server may have rejected a text that it evaluated, such as in `to_tsquery(note)`, `note::regclass` or
 * EXECUTE in a function: it reports these like errors in a statement, and quotes the text, which may be a value. An error
 * in a statement of ours has a position in it, and no context that quotes another text (`invalid type name "…"`). Errors
 * of poolers name no source file.
 */
function isAboutText(error: DatabaseError, sqlState: string): boolean {
  const { position, where, internalQuery, severity, file } = error;
  const isPlaced = position !== undefined && where === undefined;
  const category = sqlState.slice(0, 2);
  if (isPlaced || severity === 'FATAL' || file === undefined || !QUOTING.has(category)) return false;
  const source = quotingSources[category];
  if (source !== undefined) return source.test(file);
  return internalQuery !== undefined || !OF_STATEMENTS.test(file);
}

/** Returns true if what a statement of ours names is not there: a table or a column. */
export function isGone(error: unknown): boolean {
  const answer = answerOf(error);
  if (answer?.code !== '42P01' && answer?.code !== '42703') return false;
  return !isAboutText(answer, answer.code);
}

/**
 * `COPY plan_7, line 2, column name: "…"`: what follows the colon, or a line without a column, is data. In another
 * language it is not recognized, and the column not told.
 */
const COPY_CONTEXT = /^COPY plan_\d+, line \d+, column ([^:"]+)(?::|$)/;

/**
 * Returns true if a row or value is too large, for which PostgreSQL has no SQLSTATE: for a row it says "string buffer
 * exceeds …" or "out of memory", for a value as text "invalid memory alloc request size", which is not translated.
 */
function isTooLarge({ routine, message }: DatabaseError): boolean {
  return routine === 'enlargeStringInfo' || message.startsWith('invalid memory alloc request size');
}

function wordingOf(error: DatabaseError, sqlState: string): string | undefined {
  if (isAboutText(error, sqlState)) return 'a text was not accepted as a name or in its syntax';
  return wordings[sqlState] ?? wordings[sqlState.slice(0, 2)];
}

function wording(error: DatabaseError, sqlState: string): string {
  if (isTooLarge(error)) return 'a row is larger than the 1 GB that PostgreSQL can send or compute at once';
  const what = passedOn(error) ?? wordingOf(error, sqlState);
  if (what === undefined) return error.message;
  const column = error.column ?? COPY_CONTEXT.exec(error.where ?? '')?.[1];
  return column === undefined ? what : `${what}, in column "${column}"`;
}

const unreachable = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
const lost = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNABORTED']);

/** Certificate errors of OpenSSL and Node.js: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
const certificateFailures = new Set([
  'CERT_CHAIN_TOO_LONG',
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REJECTED',
  'CERT_REVOKED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'CRL_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_CRL',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
/** The driver's messages for a server's answer to the request for TLS. */
const REFUSED_TLS = /does not support SSL connections|error establishing an SSL connection/;

/** Returns true if encryption failed: the handshake, a certificate, a key. */
export function isTlsFailure(error: unknown): boolean {
  if (error instanceof DatakitError || error instanceof Unconnectable) return error.kind === 'TlsFailed';
  const code = codeOf(error);
  if (certificateFailures.has(code) || /^ERR_(SSL|OSSL|TLS|CRYPTO)_/.test(code)) return true;
  return error instanceof Error && REFUSED_TLS.test(error.message);
}

function fromConnection(error: unknown, where: string, address: string | undefined): DatakitError {
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  const options = { cause: error };
  if (isTlsFailure(error)) {
    const named = code === '' ? message : `${message} (${code})`;
    return new DatakitError('TlsFailed', `${where}: ${named}`, options);
  }
  if (message.startsWith('SASL: ')) {
    // node-postgres found the server's proof of the password wrong, or cannot do what the server asks for
    return new DatakitError('AuthenticationFailed', `${where}: the password was not accepted`, options);
  }
  if (
    unreachable.has(code) ||
    isSocketGone(error) ||
    /connection timeout|timeout expired|read timeout/i.test(message)
  ) {
    const server = address === undefined ? 'the server' : `the server at ${address}`;
    return new DatakitError(
      'Unreachable',
      `${where}: ${server} cannot be reached (${code || 'timeout'})`,
      options,
    );
  }
  if (lost.has(code) || /connection terminated|connection ended|not queryable/i.test(message)) {
    return new DatakitError('ConnectionLost', `${where}: the connection was lost`, options);
  }
  return new DatakitError('Unexpected', `${where}: ${message}`, options);
}

/** Returns true if a Unix socket is missing: its file exists only while the server runs. */
const isSocketGone = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && error.syscall === 'connect' && codeOf(error) === 'ENOENT';

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}
