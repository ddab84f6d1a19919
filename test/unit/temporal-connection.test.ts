import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { connectTemporal } from '../../src/runtime/connect-temporal.ts';

let directory: string;
const file = (name: string): string => join(directory, name);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'datakit-postgres-temporal-'));
  for (const name of ['client.pem', 'client.key', 'ca.pem']) await writeFile(file(name), `text of ${name}`);
  await writeFile(
    file('temporal.toml'),
    '[profile.cloud]\naddress = "cloud:7233"\napi_key = "of-the-file"\n',
  );
});
afterAll(async () => rm(directory, { recursive: true }));
afterEach(() => vi.unstubAllEnvs());

const bytes = (name: string): Uint8Array => new TextEncoder().encode(`text of ${name}`);

/** Returns the connection settings of worker, doctor and schedules in an environment. */
function connection(variables: Readonly<Record<string, string>>): unknown {
  vi.stubEnv('TEMPORAL_CONFIG_FILE', file('none.toml'));
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  return loadClientConnectConfig();
}

test('an API key comes with TLS', () => {
  const given = {
    TEMPORAL_ADDRESS: 'cloud:7233',
    TEMPORAL_NAMESPACE: 'shop.a1b2',
    TEMPORAL_API_KEY: 'api-key',
  };
  expect(connection(given)).toMatchObject({
    namespace: 'shop.a1b2',
    connectionOptions: { address: 'cloud:7233', apiKey: 'api-key', tls: true },
  });
});

describe('what no header can have is not told', () => {
  test.each([
    ['TEMPORAL_API_KEY', 'of-the-key\n', 'TEMPORAL_API_KEY'],
    ['TEMPORAL_API_KEY', 'of–the-key', 'TEMPORAL_API_KEY'],
    ['TEMPORAL_GRPC_META_AUTHORIZATION', 'of-the-key\n', 'TEMPORAL_GRPC_META_… "authorization"'],
  ])('%s=%j', async (variable, value, named) => {
    connection({
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      [variable]: value,
      TEMPORAL_TLS: 'false',
    });
    const connecting = connectTemporal(async (options) => Connection.connect(options));
    await expect(connecting).rejects.toThrow(
      `${named} has a line break, or another character that no header has.`,
    );
  });
});

test('a file of profiles that cannot be read is not quoted', async () => {
  await writeFile(file('broken.toml'), '[profile.default]\napi_key = "of-the-key\n');
  vi.stubEnv('TEMPORAL_CONFIG_FILE', file('broken.toml'));
  const connecting = connectTemporal(async (options) => Connection.connect(options));
  await expect(connecting).rejects.toThrow(/cannot be read: Invalid TOML document: [\w ]+, line 2$/);
});

test('certificates of the worker and of the authority are read from their files', () => {
  const tls = {
    TEMPORAL_TLS_CLIENT_CERT_PATH: file('client.pem'),
    TEMPORAL_TLS_CLIENT_KEY_PATH: file('client.key'),
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: file('ca.pem'),
    TEMPORAL_TLS_SERVER_NAME: 'temporal.internal',
  };
  const { connectionOptions } = connection(tls) as { connectionOptions: { tls: object } };
  expect(connectionOptions.tls).toMatchObject({
    serverNameOverride: 'temporal.internal',
    clientCertPair: { crt: bytes('client.pem'), key: bytes('client.key') },
    serverRootCACertificate: bytes('ca.pem'),
  });
});

test('a profile of the file is taken, and variables go before it', () => {
  const profile = { TEMPORAL_CONFIG_FILE: file('temporal.toml'), TEMPORAL_PROFILE: 'cloud' };
  expect(connection(profile)).toMatchObject({ connectionOptions: { apiKey: 'of-the-file' } });
  expect(connection({ ...profile, TEMPORAL_API_KEY: 'of-the-variable' })).toMatchObject({
    connectionOptions: { address: 'cloud:7233', apiKey: 'of-the-variable' },
  });
});

test('nothing set is a server without TLS', () => {
  expect(connection({})).toMatchObject({ connectionOptions: { apiKey: undefined, tls: undefined } });
});
