import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import { sslModes, type SslMode, type TlsSettings } from '../../src/postgres/connection-settings.ts';
import { Database } from '../../src/postgres/database.ts';
import { CertificateAuthority, encryptKey, type Issued } from '../setup/certificates.ts';
import { connectionTo, poolOf } from '../setup/connection-to.ts';
import { identify, startTlsServer } from '../setup/tls-server.ts';

let directory: string;
let server: PostgresServer;
let trusted: Issued;
let elsewhere: Issued;
let expired: Issued;
const file = (name: string): string => join(directory, name);

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'datakit-postgres-tls-'));
  const [servers, clients, others] = await Promise.all(
    ['servers', 'clients', 'others'].map(async (name) => CertificateAuthority.create(name)),
  );
  if (servers === undefined || clients === undefined || others === undefined)
    throw new Error('no authorities');
  const here = [
    { type: 'dns', value: 'localhost' },
    { type: 'ip', value: '127.0.0.1' },
  ] as const;
  trusted = await servers.issue({ commonName: 'localhost', names: [...here] });
  elsewhere = await servers.issue({ commonName: 'db', names: [{ type: 'dns', value: 'db.example.com' }] });
  expired = await servers.issue({ commonName: 'localhost', names: [...here], expired: true });
  const client = await clients.issue({ commonName: 'certified' });
  const revoked = await clients.issue({ commonName: 'certified' });
  const pem: Readonly<Record<string, string>> = {
    'servers.crt': servers.certificate,
    'others.crt': others.certificate,
    'client.crt': client.certificate,
    'client.key': client.key,
    'locked.key': encryptKey(client.key, 'key-secret'),
    'revoked.crt': revoked.certificate,
    'revoked.key': revoked.key,
    'servers.crl': await servers.revoke([elsewhere]),
  };
  for (const [name, text] of Object.entries(pem)) await writeFile(file(name), text);
  server = await startTlsServer({
    identity: trusted,
    clientAuthority: clients.certificate,
    revocations: await clients.revoke([revoked]),
  });
});
afterAll(async () => {
  await server.dispose();
  await rm(directory, { recursive: true });
});

/** Returns `encrypted` or `plain`, or the kind of failure and its message. */
async function outcome(url: string, variables: Readonly<Record<string, string>> = {}): Promise<string> {
  const database = new Database({ label: 'source "default"', settings: connectionTo(url, variables) });
  try {
    const { ssl } = await database.write({}, async (session) =>
      session.one<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'),
    );
    return ssl ? 'encrypted' : 'plain';
  } catch (error) {
    const kind: unknown = error instanceof Error ? Reflect.get(error, 'kind') : undefined;
    return `${String(kind)}: ${String(error)}`;
  } finally {
    await database.close();
  }
}

function urlOf(user: string, host = 'localhost'): string {
  const url = new URL(server.url('postgres', { user, password: `${user}-secret` }));
  url.hostname = host;
  return url.href;
}

const trusting = (mode: SslMode, root?: string): Record<string, string> => ({
  SOURCE_PG_SSLMODE: mode,
  ...(root !== undefined && { SOURCE_PG_SSLROOTCERT: file(root) }),
});

const UNTRUSTED = /^TlsFailed: .*source "default": .*certificate/;

describe('a server with the right certificate', () => {
  test.each<[SslMode, string | undefined, string]>([
    ['disable', undefined, 'plain'],
    ['allow', undefined, 'plain'],
    ['prefer', undefined, 'encrypted'],
    ['require', undefined, 'encrypted'],
    ['require', 'servers.crt', 'encrypted'],
    ['verify-ca', 'servers.crt', 'encrypted'],
    ['verify-full', 'servers.crt', 'encrypted'],
  ])('%s, root %s: %s', async (mode, root, expected) => {
    expect(
      await outcome(urlOf('postgres').replace(/:[^:@]+@/, `:${password()}@`), trusting(mode, root)),
    ).toBe(expected);
  });

  test('is verified by its address too', async () => {
    expect(await outcome(urlOf('reader', '127.0.0.1'), trusting('verify-full', 'servers.crt'))).toBe(
      'encrypted',
    );
  });

  test('of an authority that is not trusted', async () => {
    for (const mode of ['require', 'verify-ca', 'verify-full'] as const) {
      expect(await outcome(urlOf('reader'), trusting(mode, 'others.crt')), mode).toMatch(UNTRUSTED);
    }
    expect(
      await outcome(urlOf('reader'), { SOURCE_PG_SSLMODE: 'verify-full', SOURCE_PG_SSLROOTCERT: 'system' }),
    ).toMatch(UNTRUSTED);
    expect(await outcome(urlOf('reader'), trusting('require'))).toBe('encrypted');
  });
});

const password = (): string => new URL(server.url('postgres')).password;

describe('what a role may', () => {
  test('a role that may not come with encryption comes without where the mode lets it', async () => {
    const outcomes = Object.fromEntries(
      await Promise.all(
        sslModes
          .filter((mode) => !mode.startsWith('verify'))
          .map(async (mode) => [mode, await outcome(urlOf('unencrypted'), trusting(mode))] as const),
      ),
    );
    expect(outcomes).toMatchObject({ disable: 'plain', allow: 'plain', prefer: 'plain' });
    expect(outcomes['require']).toMatch(/^AuthenticationFailed: .*no pg_hba.conf entry/);
  });

  test('a role that may not come without encryption comes with it where the mode lets it', async () => {
    expect(await outcome(urlOf('reader'), trusting('allow'))).toBe('encrypted');
    expect(await outcome(urlOf('reader'), trusting('disable'))).toMatch(
      /^AuthenticationFailed: .*no pg_hba.conf entry .* no encryption/,
    );
  });
});

describe('a server with another certificate', () => {
  test('for another host', async () => {
    await identify(server, elsewhere);
    expect(await outcome(urlOf('reader'), trusting('verify-ca', 'servers.crt'))).toBe('encrypted');
    expect(await outcome(urlOf('reader'), trusting('verify-full', 'servers.crt'))).toMatch(
      /^TlsFailed: .*Host: localhost. is not in the cert's altnames/,
    );
  });

  test('that its authority has revoked', async () => {
    const revoked = { ...trusting('verify-ca', 'servers.crt'), SOURCE_PG_SSLCRL: file('servers.crl') };
    expect(await outcome(urlOf('reader'), revoked)).toMatch(/^TlsFailed: .*certificate revoked/);
  });

  test('that has expired', async () => {
    await identify(server, expired);
    expect(await outcome(urlOf('reader'), trusting('require'))).toBe('encrypted');
    expect(await outcome(urlOf('reader'), trusting('verify-ca', 'servers.crt'))).toMatch(
      /^TlsFailed: .*certificate has expired \(CERT_HAS_EXPIRED\)/,
    );
    await identify(server, trusted);
  });
});

describe('the certificate of the worker', () => {
  const certificate = (name: string, key = name): Record<string, string> => ({
    ...trusting('verify-full', 'servers.crt'),
    SOURCE_PG_SSLCERT: file(`${name}.crt`),
    SOURCE_PG_SSLKEY: file(`${key}.key`),
  });

  test('lets it in', async () => {
    expect(await outcome(urlOf('certified'), certificate('client'))).toBe('encrypted');
  });

  test('is asked for', async () => {
    expect(await outcome(urlOf('certified'), trusting('require'))).toMatch(
      /^AuthenticationFailed: .*connection requires a valid client certificate/,
    );
  });

  test('is refused where it was revoked', async () => {
    expect(await outcome(urlOf('certified'), certificate('revoked'))).toMatch(
      /^TlsFailed: .*certificate revoked/,
    );
  });

  test('has a key that may be encrypted', async () => {
    const locked = certificate('client', 'locked');
    expect(await outcome(urlOf('certified'), { ...locked, SOURCE_PG_SSLPASSWORD: 'key-secret' })).toBe(
      'encrypted',
    );
    for (const wrong of [{}, { SOURCE_PG_SSLPASSWORD: 'another-secret' }]) {
      const message = await outcome(urlOf('certified'), { ...locked, ...wrong });
      expect(message).toMatch(/^TlsFailed: /);
      expect(message).not.toContain('secret');
    }
  });

  test('is in a file that is there', async () => {
    expect(await outcome(urlOf('certified'), certificate('gone', 'client'))).toMatch(
      /^TlsFailed: .*gone\.crt cannot be read \(ENOENT\)/,
    );
  });

  test('is read anew for each connection', async () => {
    const database = new Database({
      label: 'source "default"',
      settings: connectionTo(urlOf('certified'), { ...certificate('renewed'), SOURCE_PG_POOL_SIZE: '1' }),
    });
    const ask = async () => database.write({}, async (session) => session.one('SELECT 1 AS one'));
    await expect(ask()).rejects.toMatchObject({ kind: 'TlsFailed' });
    await copyFile(file('client.crt'), file('renewed.crt'));
    await copyFile(file('client.key'), file('renewed.key'));
    expect(await ask()).toEqual({ one: 1 });
    await database.close();
  });
});

test(
  'a session that cannot be cancelled, as its certificate is gone, is closed all the same',
  { tags: 'long' },
  async () => {
    const give = async (): Promise<void> => {
      for (const kind of ['crt', 'key']) await copyFile(file(`client.${kind}`), file(`passing.${kind}`));
    };
    await give();
    const variables = {
      ...trusting('verify-full', 'servers.crt'),
      SOURCE_PG_SSLCERT: file('passing.crt'),
      SOURCE_PG_SSLKEY: file('passing.key'),
      SOURCE_PG_POOL_TIMEOUT: '1 second',
      ...poolOf(1),
    };
    const database = new Database({
      label: 'source "default"',
      settings: connectionTo(urlOf('certified'), variables),
    });
    const cancelling = new AbortController();
    const working = database.write({ signal: cancelling.signal }, async (session) => {
      await rm(file('passing.crt'));
      setTimeout(() => cancelling.abort(new Error('stop')), 50);
      await session.query('SELECT pg_sleep(30)');
    });
    await expect(working).rejects.toThrow('stop');
    await give();
    expect(await database.write({}, async (session) => session.one('SELECT 1 AS one'))).toEqual({ one: 1 });
    await database.close();
  },
);

describe('a server without TLS', () => {
  test.each<[SslMode, RegExp]>([
    ['disable', /^plain$/],
    ['allow', /^plain$/],
    ['prefer', /^plain$/],
    ['require', /^TlsFailed: .*The server does not support SSL connections/],
    ['verify-ca', /^TlsFailed: .*The server does not support SSL connections/],
    ['verify-full', /^TlsFailed: .*The server does not support SSL connections/],
  ])('%s', async (mode, expected) => {
    const root = mode.startsWith('verify') ? 'servers.crt' : undefined;
    expect(await outcome(inject('sourceAdmin'), trusting(mode, root))).toMatch(expected);
  });
});

describe('how TLS begins', () => {
  test('at once where that is asked for', async () => {
    const direct = { ...trusting('verify-full', 'servers.crt'), SOURCE_PG_SSLNEGOTIATION: 'direct' };
    expect(await outcome(urlOf('reader'), direct)).toBe('encrypted');
  });

  test.each(['postgres', 'direct'] as const)('with the name of the host, %s', async (negotiation) => {
    const heard = new Listener(negotiation);
    await heard.listen();
    const url = `postgresql://reader:reader-secret@localhost:${heard.port}/postgres`;
    await outcome(url, { ...trusting('require'), SOURCE_PG_SSLNEGOTIATION: negotiation });
    heard.close();
    expect(heard.names).toEqual(['localhost']);
  });
});

/** Listens like a server with TLS, and records the requested host names. */
class Listener {
  readonly names: string[] = [];
  readonly #server: Server;

  constructor(negotiation: TlsSettings['negotiation']) {
    const options = {
      key: trusted.key,
      cert: trusted.certificate,
      ALPNProtocols: ['postgresql'],
      SNICallback: (name: string, done: (error: null) => void) => {
        this.names.push(name);
        done(null);
      },
    };
    const hangUp = (socket: TLSSocket): void => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.destroy());
    };
    if (negotiation === 'direct') {
      this.#server = createTlsServer(options, hangUp);
    } else {
      this.#server = createServer((socket) => {
        socket.once('data', () => {
          socket.write('S');
          hangUp(new TLSSocket(socket, { isServer: true, ...options }));
        });
      });
    }
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('not listening');
    return address.port;
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve);
    });
  }

  close(): void {
    this.#server.close();
  }
}
