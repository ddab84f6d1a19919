/** How to reach one database, however the environment expressed it. */
export interface ConnectionSettings {
  /** A host name, an address, or the directory of a Unix socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string | undefined;
  readonly user: string | undefined;
  /** Called for every connection, since files that hold a password change while the worker runs. */
  readonly password: () => string | undefined;
  readonly tls: TlsSettings;
  /** Passed to the server at the start of each session: `-c statement_timeout=300000`. */
  readonly options: string | undefined;
  /** Milliseconds; 0 waits indefinitely. */
  readonly connectTimeout: number;
  readonly pool: PoolSettings;
}

/** Returns where the server is, for messages: `db.example.com:5432`, or the file of a Unix socket. */
export function addressOf({ host, port }: Pick<ConnectionSettings, 'host' | 'port'>): string {
  if (host.startsWith('/')) return `${host}/.s.PGSQL.${port}`;
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

/** With the meaning that libpq gives them: https://www.postgresql.org/docs/current/libpq-ssl.html */
export type SslMode = (typeof sslModes)[number];

export interface TlsSettings {
  readonly mode: SslMode;
  /** `direct` starts TLS without asking first; supported since PostgreSQL 17. */
  readonly negotiation: 'postgres' | 'direct';
  /** PEM files, read for every connection, so that certificates can be renewed while the worker runs. */
  readonly certificate?: string;
  readonly key?: string;
  readonly keyPassword?: () => string | undefined;
  /** A file, or `system` for the certificate authorities that Node.js trusts. */
  readonly rootCertificate?: string;
  readonly revocations?: string;
}

export interface PoolSettings {
  /** Sessions that stay open for a while when idle. */
  readonly size: number;
  /** Further sessions, opened when needed and closed as soon as they are given back. */
  readonly maxOverflow: number;
  /** How long to wait for a free session, in milliseconds. */
  readonly timeout: number;
}

/** Returns the maximum number of sessions of a pool. */
export const capacityOf = ({ size, maxOverflow }: PoolSettings): number => size + maxOverflow;
