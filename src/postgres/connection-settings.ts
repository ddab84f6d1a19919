/** How to reach one database, whatever the words were in which the environment said it. */
export interface ConnectionSettings {
  /** A name, an address, or the directory of a socket. */
  readonly host: string;
  readonly port: number;
  readonly database: string | undefined;
  readonly user: string | undefined;
  /** Asked at every connection, since files that hold a password change while the worker runs. */
  readonly password: () => string | undefined;
  readonly tls: TlsSettings;
  /** Given to the server at the start of each session: `-c statement_timeout=300000`. */
  readonly options: string | undefined;
  /** Milliseconds; 0 for as long as it takes. */
  readonly connectTimeout: number;
  readonly pool: PoolSettings;
}

export const sslModes = ['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'] as const;

/** With the meaning that libpq gives them: https://www.postgresql.org/docs/current/libpq-ssl.html */
export type SslMode = (typeof sslModes)[number];

export interface TlsSettings {
  readonly mode: SslMode;
  /** `direct` begins with TLS, without asking first; servers know it since PostgreSQL 17. */
  readonly negotiation: 'postgres' | 'direct';
  /** Files in PEM, read at every connection, so that certificates can be renewed while the worker runs. */
  readonly certificate?: string;
  readonly key?: string;
  readonly keyPassword?: () => string | undefined;
  /** A file, or `system` for the certificate authorities that Node.js trusts. */
  readonly rootCertificate?: string;
  readonly revocations?: string;
}

export interface PoolSettings {
  /** Sessions that stay open for a while when nobody uses them. */
  readonly size: number;
  /** More that are opened when they are needed, and closed as soon as they are given back. */
  readonly maxOverflow: number;
  /** How long a piece of work waits for a session, in milliseconds. */
  readonly timeout: number;
}

/** The most sessions of a pool at once. */
export const capacityOf = ({ size, maxOverflow }: PoolSettings): number => size + maxOverflow;
