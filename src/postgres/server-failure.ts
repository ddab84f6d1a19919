import { DatabaseError } from 'pg';
import { DatakitError, kindOfSqlState, type FailureKind } from '../contract/failures.ts';

/**
 * What a server or the way to it answered, by kind and in words.
 *
 * Messages of PostgreSQL pass only where they cannot hold a value of a row: those about data
 * (class 22 and 23) are told by their SQLSTATE and column alone, those that somebody's
 * function raised (P0, 38 and 39) by their SQLSTATE.
 *
 * @param where whose session it was: `source "default"`, `warehouse`; what is known to be of another stays so
 */
export function serverFailure(error: unknown, where: string): DatakitError {
  return described(error, (error instanceof Error ? origins.get(error) : undefined) ?? where);
}

/** By error of the driver: one of the warehouse may pass through a transaction of the source, and the other way round. */
const origins = new WeakMap<Error, string>();

/** The same error, known to be of a session of `where`. */
export function originatingIn(where: string, error: unknown): unknown {
  if (error instanceof Error) origins.set(error, where);
  return error;
}

function described(error: unknown, where: string): DatakitError {
  if (error instanceof DatakitError) return error;
  if (error instanceof Unconnectable) return new DatakitError(error.kind, `${where}: ${error.message}`);
  if (error instanceof DatabaseError && error.code !== undefined) return fromServer(error, error.code, where);
  return fromConnection(error, where);
}

/** What keeps a connection from coming about before any server was asked, in words that lack whose it was to be. */
export class Unconnectable extends Error {
  override name = 'Unconnectable';
  readonly kind: FailureKind;

  constructor(kind: FailureKind, message: string) {
    super(message);
    this.kind = kind;
  }
}

/** The SQLSTATE behind a failure, if a server gave one. */
export function sqlStateOf(error: unknown): string | undefined {
  if (error instanceof DatabaseError) return error.code;
  return error instanceof DatakitError ? sqlStateOf(error.cause) : undefined;
}

/** Whether a lock was waited for in vain. */
export const isLockTimeout = (error: unknown): boolean => sqlStateOf(error) === '55P03';

function fromServer(error: DatabaseError, sqlState: string, where: string): DatakitError {
  return new DatakitError(
    kindOf(error, sqlState),
    `${where}: ${wording(error, sqlState)} (SQLSTATE ${sqlState})`,
    {
      cause: error,
    },
  );
}

/** What PgBouncer says where a server would have done it. */
const POOLER = /unsupported startup parameter|not allowed in statement pooling mode/;

/** 57014 is three things, and 53400 two, told apart only by their text. */
function kindOf(error: DatabaseError, sqlState: string): FailureKind {
  if (/conflict with recovery/.test(error.message)) return 'SerializationFailure';
  if (sqlState === '08P01' && POOLER.test(error.message)) return 'PoolerInTheWay';
  if (isTooLarge(error)) return 'UnsupportedTable';
  // unlike other limits of a configuration, nobody else frees it: it is that of the session itself
  if (sqlState === '53400' && /temp_file_limit/.test(error.message)) return 'OutOfMemory';
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
  'EAI_FAIL',
  'EADDRNOTAVAIL',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);
const lost = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNABORTED']);

/** What OpenSSL and Node.js say of certificates: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
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
/** The driver's own words for what a server answers to the request for TLS. */
const REFUSED_TLS = /does not support SSL connections|error establishing an SSL connection/;

/** Whether encryption is what failed: the handshake, a certificate, a key. */
export function isTlsFailure(error: unknown): boolean {
  if (error instanceof DatakitError || error instanceof Unconnectable) return error.kind === 'TlsFailed';
  const code = codeOf(error);
  if (certificateFailures.has(code) || /^ERR_(SSL|OSSL|TLS|CRYPTO)_/.test(code)) return true;
  return error instanceof Error && REFUSED_TLS.test(error.message);
}

function fromConnection(error: unknown, where: string): DatakitError {
  const message = error instanceof Error ? error.message : String(error);
  const code = codeOf(error);
  const options = { cause: error };
  if (isTlsFailure(error)) {
    const named = code === '' ? message : `${message} (${code})`;
    return new DatakitError('TlsFailed', `${where}: ${named}`, options);
  }
  if (message.startsWith('SASL: ')) {
    // node-postgres found that what the server proves of the password is wrong, or that it asks for the impossible
    return new DatakitError('AuthenticationFailed', `${where}: the password was not accepted`, options);
  }
  if (
    unreachable.has(code) ||
    isSocketGone(error) ||
    /connection timeout|timeout expired|read timeout/i.test(message)
  ) {
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

/** The file of a Unix socket is there only while its server runs. */
const isSocketGone = (error: unknown): boolean =>
  error instanceof Error && 'syscall' in error && error.syscall === 'connect' && codeOf(error) === 'ENOENT';

function codeOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return typeof code === 'string' ? code : '';
}
