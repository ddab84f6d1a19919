import { chown, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import type { PostgresServer } from '../../local/postgres.ts';
import { administer } from './administer.ts';
import type { Issued } from './certificates.ts';
import { startTestServer } from './test-server.ts';
import { waitUntil } from './wait-until.ts';

export interface ServerFiles {
  readonly identity: Issued;
  /** In PEM: the authority that signs client certificates, and its list of revoked ones. */
  readonly clientAuthority: string;
  readonly revocations: string;
}

/** Access rules: `certified` only with a certificate, `unencrypted` only without TLS, others with it. */
const HBA = `
local   all all         scram-sha-256
host    all postgres    127.0.0.1/32 scram-sha-256
hostssl all certified   all cert
hostssl all reader      all scram-sha-256
hostnossl all unencrypted all scram-sha-256
`;

/** Starts a PostgreSQL with TLS, using the given certificates. */
export async function startTlsServer(files: ServerFiles): Promise<PostgresServer> {
  const server = await startTestServer();
  await administer(server.url('postgres'), [
    `CREATE ROLE certified LOGIN`,
    `CREATE ROLE reader LOGIN PASSWORD 'reader-secret'`,
    `CREATE ROLE unencrypted LOGIN PASSWORD 'unencrypted-secret'`,
  ]);
  await give(server, 'clients.crt', files.clientAuthority);
  await give(server, 'clients.crl', files.revocations);
  await give(server, 'pg_hba.conf', HBA);
  await identify(server, files.identity);
  return server;
}

/** Makes the server present another certificate. */
export async function identify(server: PostgresServer, { certificate, key }: Issued): Promise<void> {
  await give(server, 'server.crt', certificate);
  await give(server, 'server.key', key);
  const set = { ssl: 'on', ssl_ca_file: 'clients.crt', ssl_crl_file: 'clients.crl' };
  const before = await loadTime(server);
  await administer(server.url('postgres'), [
    ...Object.entries(set).map(([name, value]) => `ALTER SYSTEM SET ${name} = '${value}'`),
    'SELECT pg_reload_conf()',
  ]);
  await waitUntil(async () => (await loadTime(server)) !== before);
}

/** Returns when the server last loaded its configuration. */
async function loadTime(server: PostgresServer): Promise<string> {
  const client = new Client(server.url('postgres'));
  await client.connect();
  const { rows } = await client.query<{ time: string }>('SELECT pg_conf_load_time()::text AS time');
  await client.end();
  return rows[0]?.time ?? '';
}

async function give(server: PostgresServer, file: string, text: string): Promise<void> {
  const path = join(server.dataDirectory, file);
  const { uid, gid } = await stat(server.dataDirectory);
  await writeFile(path, text, { mode: 0o600 });
  await chown(path, uid, gid);
}
