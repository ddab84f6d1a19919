import { suggestion } from '../contract/parse-input.ts';

/** Parameters of a connection, by their libpq names: https://www.postgresql.org/docs/current/libpq-connect.html */
export type ConnectionParameters = Readonly<Record<string, string>>;

/** Parameters that take effect. */
const used = [
  'host',
  'port',
  'dbname',
  'user',
  'password',
  'passfile',
  'service',
  'options',
  'connect_timeout',
  'sslmode',
  'sslnegotiation',
  'sslcert',
  'sslkey',
  'sslpassword',
  'sslrootcert',
  'sslcrl',
] as const;

/** Further libpq parameters, accepted without effect so that a URL that works elsewhere works here too. */
const ignored = [
  'application_name',
  'channel_binding',
  'client_encoding',
  'fallback_application_name',
  'gssencmode',
  'keepalives',
  'keepalives_count',
  'keepalives_idle',
  'keepalives_interval',
  'krbsrvname',
  'sslcompression',
  'target_session_attrs',
  'tcp_user_timeout',
];

/** Says what is wrong with a URL without quoting anything in it that may be secret. */
export class UrlError extends Error {
  override name = 'UrlError';
}

export const EXPECTED_URL = 'expected a URL such as postgresql://user:password@host:5432/database';

/** Splits a URL as libpq does, where a password may contain "?" or "#"; an "@" in a password is accepted too. */
const SHAPE =
  /^postgres(?:ql)?:\/\/(?:(?<user>[^:/?]*?)(?::(?<password>[^/]*?))?@)?(?<host>\[[^\]]*\]|[^:/?@]*)(?::(?<port>[^/?@]*))?(?:\/(?<dbname>[^?]*))?(?:\?(?<query>.*))?$/s;

/**
 * Reads a connection URL as libpq does.
 *
 * @throws {UrlError} quoting no part of the URL that may belong to a secret
 */
export function parseConnectionUrl(text: string): ConnectionParameters {
  const { query = '', ...parts } = SHAPE.exec(text.trim())?.groups ?? {};
  const { host, dbname = '' } = parts;
  // after a "/" in the password, the rest of it would be reported as the database name
  if (host === undefined || dbname.includes('@')) {
    throw new UrlError(`${EXPECTED_URL}, with "/" in a password written as "%2F", and "@" as "%40"`);
  }
  const said = [
    ...Object.entries({ ...parts, host: host.replace(/^\[(.*)\]$/, '$1') }),
    ...parametersOf(query, parts.port),
  ].map(([name, value]) => [name, decoded(value ?? '')] as const);
  return Object.fromEntries(said.filter(([, value]) => value !== ''));
}

/** Splits a query by hand, because `URLSearchParams` decodes "+" as a space, which is right only for forms. */
function parametersOf(query: string, port = ''): (readonly [string, string])[] {
  if (query === '') return [];
  const pairs = query.split('&').map((pair) => {
    const [name = '', ...value] = pair.split('=');
    return [decoded(name), value.join('=')] as const;
  });
  // an "&" in a password makes the rest of it look like another parameter, what stands before an "@" may all be a
  // password, and where the host was forgotten, the password looks like a port
  const isSecret =
    pairs.some(([name]) => secrets.includes(name)) || /@|^[^=]*(?:&|$)/.test(query) || !/^\d*$/.test(port);
  for (const [index, [name]] of pairs.entries()) requireKnown(name, index + 1, isSecret);
  return pairs;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new UrlError(`${EXPECTED_URL}, with "%" written as "%25"`);
  }
}

const secrets = ['password', 'sslpassword'];

/** Refuses an unknown parameter; gives only its position if its name may be part of a password. */
function requireKnown(name: string, place: number, isSecret: boolean): void {
  if (isKnown(name)) return;
  throw new UrlError(
    isSecret
      ? `has an unknown parameter, number ${place} of its query ("&" in a value is written as "%26")`
      : unknownParameter(name),
  );
}

/**
 * Refuses unknown parameters of a service, as libpq does: if `hostaddr`, say, were ignored, the connection would go to
 * another server.
 *
 * @throws {UrlError}
 */
export function requireKnownService(service: string, parameters: ConnectionParameters): void {
  for (const name of Object.keys(parameters)) {
    if (!isKnown(name)) throw new UrlError(`names the service "${service}", which ${unknownParameter(name)}`);
  }
}

function isKnown(name: string): boolean {
  if (name === 'sslsni') throw new UrlError('cannot turn off "sslsni": the name of the host is always sent');
  const known: readonly string[] = [...used, ...ignored];
  return known.includes(name);
}

const unknownParameter = (name: string): string =>
  `has an unknown parameter "${name}"${suggestion(name, used)}`;

/**
 * Refuses what is not supported, in a URL or in the service that it names.
 *
 * @throws {UrlError}
 */
export function requireFeasible({ host = '', port = '', ...others }: ConnectionParameters): void {
  if (host.includes(',') || port.includes(',')) throw new UrlError('expected one host');
  for (const name of ['gssencmode', 'channel_binding']) {
    if (others[name] === 'require') throw new UrlError(`cannot have ${name} "require": it is not supported`);
  }
}
