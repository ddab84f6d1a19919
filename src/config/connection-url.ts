import { suggestion } from '../contract/parse-input.ts';

/** What a URL says, by the names that libpq has for it: https://www.postgresql.org/docs/current/libpq-connect.html */
export type ConnectionParameters = Readonly<Record<string, string>>;

/** Parameters that mean something here. */
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

/** Those that libpq has besides, which change nothing here; a URL that works elsewhere works here too. */
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

/** Says what is wrong with a URL, and none of it. */
export class UrlError extends Error {
  override name = 'UrlError';
}

const EXPECTED = 'expected a URL such as postgresql://user:password@host:5432/database';

/**
 * Reads a connection URL as libpq does.
 *
 * @throws {UrlError} naming a parameter that is not known, never its value
 */
export function parseConnectionUrl(text: string): ConnectionParameters {
  const url = parseUrl(text);
  const parameters: Record<string, string> = {};
  const set = (name: string, value: string): void => {
    if (value !== '') parameters[name] = value;
  };
  set('host', decoded(url.hostname).replace(/^\[(.*)\]$/, '$1'));
  set('port', url.port);
  set('user', decoded(url.username));
  set('password', decoded(url.password));
  set('dbname', decoded(url.pathname.replace(/^\//, '')));
  for (const [name, value] of url.searchParams) {
    requireKnown(name);
    set(name, value);
  }
  return parameters;
}

/** With a user and no host `new URL` sees a mistake, and libpq its default. */
function parseUrl(text: string): URL {
  const withHost = text.replace(/^(postgres(?:ql)?:\/\/[^/?@]*@)(?=[/?]|$)/, '$1localhost');
  if (!/^postgres(ql)?:\/\//.test(withHost)) throw new UrlError(EXPECTED);
  if (/^[^?]*@[^/?]*,/.test(withHost)) throw new UrlError('expected one host');
  if (!URL.canParse(withHost)) throw new UrlError(EXPECTED);
  return new URL(withHost);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new UrlError(`${EXPECTED}, with "%" written as "%25"`);
  }
}

function requireKnown(name: string): void {
  const known: readonly string[] = [...used, ...ignored];
  if (known.includes(name)) return;
  if (name === 'sslsni') throw new UrlError('cannot turn off "sslsni": the name of the host is always sent');
  throw new UrlError(`has an unknown parameter "${name.slice(0, 50)}"${suggestion(name, used)}`);
}
