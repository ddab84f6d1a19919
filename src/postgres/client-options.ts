import { readFileSync } from 'node:fs';
import type { ConnectionOptions } from 'node:tls';
import type { ConnectionSettings, SslMode, TlsSettings } from './connection-settings.ts';
import type { ClientConfig } from './driver.ts';
import { LendingSocket } from './copy/lending-socket.ts';
import { Unconnectable } from './server-failure.ts';
import { APPLICATION } from './application-name.ts';

/** A way to connect, with or without encryption. */
export type Way = 'encrypted' | 'plain';

/** Ways that each mode tries, in order. A Unix socket is never encrypted, as in libpq. */
const waysOfMode: Readonly<Record<SslMode, readonly [Way, ...Way[]]>> = {
  disable: ['plain'],
  allow: ['plain', 'encrypted'],
  prefer: ['encrypted', 'plain'],
  require: ['encrypted'],
  'verify-ca': ['encrypted'],
  'verify-full': ['encrypted'],
};

export const waysOf = ({ host, tls }: ConnectionSettings): readonly [Way, ...Way[]] =>
  host.startsWith('/') ? ['plain'] : waysOfMode[tls.mode];

/** Returns the driver's options for a connection, the same for pools and single sessions. */
export function clientOptions(settings: ConnectionSettings, way: Way): ClientConfig {
  const { host, port, database, user, options, connectTimeout, tls } = settings;
  return {
    host,
    port,
    ...(database !== undefined && { database }),
    ...(user !== undefined && { user }),
    ...(options !== undefined && { options }),
    password: () => givenPassword(settings),
    ssl: way === 'plain' ? false : tlsOptions(tls),
    // with TLS, Node receives into memory of its own
    ...(way === 'encrypted' ? { sslnegotiation: tls.negotiation } : { stream: () => new LendingSocket() }),
    connectionTimeoutMillis: connectTimeout,
    // as in libpq: a server may be set to more than what the driver takes, 100,000
    scramMaxIterations: 0,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    application_name: APPLICATION,
  };
}

/** Returns the password; called only when the server asks for one. */
function givenPassword({ password }: ConnectionSettings): string {
  const given = password();
  if (given !== undefined && given !== '') return given;
  throw new Unconnectable('AuthenticationFailed', 'the server asks for a password, and none is set');
}

/**
 * Verifies the server wherever a root certificate is given; without one, `require` and the weaker modes
 * encrypt without verifying.
 */
function tlsOptions({
  mode,
  certificate,
  key,
  keyPassword,
  rootCertificate,
  revocations,
}: TlsSettings): ConnectionOptions {
  const verified = rootCertificate !== undefined || mode === 'verify-ca' || mode === 'verify-full';
  const passphrase = keyPassword?.();
  return {
    rejectUnauthorized: verified,
    ...(mode !== 'verify-full' && { checkServerIdentity: () => undefined }),
    ...(rootCertificate !== undefined && rootCertificate !== 'system' && { ca: read(rootCertificate) }),
    ...(certificate !== undefined && { cert: read(certificate) }),
    ...(key !== undefined && { key: read(key) }),
    ...(passphrase !== undefined && { passphrase }),
    ...(revocations !== undefined && { crl: read(revocations) }),
  };
}

function read(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new Unconnectable('TlsFailed', `the file ${file} cannot be read (${code})`);
  }
}
