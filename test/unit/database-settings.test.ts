import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCodecServer } from '../../src/config/codec-server.ts';
import { readEnvironment } from '../../src/config/environment.ts';
import type { ConnectionSettings } from '../../src/postgres/connection-settings.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'datakit-postgres-settings-'));
});
afterAll(async () => rm(directory, { recursive: true }));

const WAREHOUSE_DATABASE_URL = 'postgresql://loader@warehouse/warehouse';

async function file(name: string, text: string, mode = 0o600): Promise<string> {
  const path = join(directory, name);
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

function read(variables: Record<string, string>) {
  return readEnvironment({ WAREHOUSE_DATABASE_URL, PGPASSFILE: join(directory, 'none'), ...variables });
}

function source(url: string, variables: Record<string, string> = {}): ConnectionSettings {
  const settings = read({ SOURCE_DATABASE_URL: url, ...variables }).sources.get('default');
  if (settings === undefined) throw new Error('there is no source');
  return settings;
}

const refusal = (variables: Record<string, string>): string => {
  try {
    read({ SOURCE_DATABASE_URL: 'postgresql://u:hunter2@h/d', ...variables });
  } catch (error) {
    return String(error);
  }
  throw new Error('nothing was refused');
};

describe('a URL is read as libpq reads it:', () => {
  test.each<[string, Partial<ConnectionSettings>]>([
    ['postgresql://u@h:6432/d', { host: 'h', port: 6432, user: 'u', database: 'd' }],
    ['postgres://u@[::1]/d', { host: '::1', port: 5432 }],
    ['postgresql://u%40corp@h/my%20db', { user: 'u@corp', database: 'my db' }],
    ['postgresql://u@h', { user: 'u', database: 'u' }],
    ['postgresql://u@/d?host=/var/run/postgresql', { host: '/var/run/postgresql', database: 'd' }],
    ['postgresql:///d?user=u&port=6543', { host: 'localhost', port: 6543, user: 'u' }],
    ['postgresql://h/d?connect_timeout=3', { connectTimeout: 3000 }],
    ['postgresql://h/d?connect_timeout=0', { connectTimeout: 0 }],
    ['postgresql://h/d?options=-c%20jit%3Doff', { options: '-c jit=off' }],
    ['postgresql://h/d?options=-c%20search_path=a+b', { options: '-c search_path=a+b' }],
    ['postgresql://u%2Bv@%2Fvar%2Frun:6432/d', { user: 'u+v', host: '/var/run', port: 6432 }],
    ['postgresql://h/d?gssencmode=prefer&channel_binding=prefer', { host: 'h' }],
    ['postgresql://h?user=u@corp', { host: 'h', user: 'u@corp' }],
    ['postgresql://h/d?application_name=x&keepalives=1&target_session_attrs=any', { host: 'h' }],
  ])('%s', (url, expected) => {
    expect(source(url)).toMatchObject(expected);
  });

  test.each([
    ['postgresql://u:a+b@h/d', 'a+b'],
    ['postgresql://h/d?user=u&password=a+b%2Bc', 'a+b+c'],
    ['postgresql://h/d?user=u&password=a=b', 'a=b'],
    ['postgresql://u:4711?x#y@h/d', '4711?x#y'],
    ['postgresql://u:a@b:c@h/d', 'a@b:c'],
  ])('the password of %s', (url, password) => {
    const settings = source(url);
    expect(settings).toMatchObject({ host: 'h', port: 5432, user: 'u', database: 'd' });
    expect(settings.password()).toBe(password);
  });

  test('what it says goes before the variables', () => {
    const variables = {
      SOURCE_PG_SSLMODE: 'disable',
      SOURCE_PG_OPTIONS: '-c jit=on',
      SOURCE_PG_PASSWORD: 'of the variable',
      SOURCE_PG_CONNECT_TIMEOUT: '20 seconds',
    };
    const url = 'postgresql://u:of%20the%20URL@h/d?sslmode=require&options=-c%20jit%3Doff&connect_timeout=3';
    const settings = source(url, variables);
    expect(settings).toMatchObject({ tls: { mode: 'require' }, options: '-c jit=off', connectTimeout: 3000 });
    expect(settings.password()).toBe('of the URL');
    expect(source('postgresql://u@h/d', variables)).toMatchObject({
      tls: { mode: 'disable' },
      options: '-c jit=on',
      connectTimeout: 20_000,
    });
    expect(source('postgresql://u@h/d', variables).password()).toBe('of the variable');
  });

  test.each([
    [
      'postgresql://u:hunter2@h/d?sslmod=require',
      'has an unknown parameter "sslmod" (did you mean "sslmode"?)',
    ],
    ['postgresql://h/d?user=u&password=tr0ub&hunter2', 'has an unknown parameter, number 3 of its query'],
    ['postgresql://h/d?user=u&password=tr0ub&hunter2=x', 'has an unknown parameter, number 3 of its query'],
    ['postgresql://u:47/11?hunter2=x@h/d', 'has an unknown parameter, number 1 of its query'],
    ['postgresql://u:x?hunter2', 'has an unknown parameter, number 1 of its query'],
    ['postgresql://u:x?hunter2=', 'has an unknown parameter, number 1 of its query'],
    ['postgresql://u:1?hunter2', 'has an unknown parameter, number 1 of its query'],
    ['postgresql://u:hunter2@h/d?schema=sales', 'has an unknown parameter "schema"'],
    ['postgresql://h/d?sslmod=require&password=hunter2', 'has an unknown parameter, number 1 of its query'],
    ['postgresql://u:4711/hunter2@h/d', 'with "/" in a password written as "%2F"'],
    ['postgresql://u:hunter2@h1:1,h2:2/d', 'expected one host'],
    ['postgresql://h1,h2/d', 'expected one host'],
    ['postgresql:///d?host=h1,h2', 'expected one host'],
    ['postgresql://h/d?port=1,2', 'expected one host'],
    ['postgresql://u:hunter2@h/d?gssencmode=require', 'cannot have gssencmode "require"'],
    ['postgresql://u:hunter2@h/d?channel_binding=require', 'cannot have channel_binding "require"'],
    ['postgresql://u:hunter2@h:99999/d', 'has an invalid port'],
    ['postgresql://u:hunter2@h:port/d', 'has an invalid port'],
    ['postgresql://u:hunter2@h/d?connect_timeout=2147484', 'has an invalid connect_timeout'],
    ['postgresql://u:%zz@h/d', 'with "%" written as "%25"'],
    ['postgresql://u:hunter2@h/d?sslmode=verify', 'has an invalid sslmode'],
    ['postgresql://u:hunter2@h/d?connect_timeout=soon', 'has an invalid connect_timeout'],
    ['postgresql://u:hunter2@h/d?sslsni=0', 'the name of the host is always sent'],
    ['postgresql://u:hunter2@h/d?service=none', 'no service file has the service "none"'],
  ])('%s is refused', (url, words) => {
    const message = refusal({ SOURCE_DATABASE_URL: url });
    expect(message).toContain(words);
    expect(message).not.toContain('hunter2');
  });
});

test.each(['PG_POOL_TIMEOUT', 'PG_CONNECT_TIMEOUT'])('%s is no longer than a timer can wait', (name) => {
  expect(refusal({ [`SOURCE_${name}`]: '25 days' })).toContain(`SOURCE_${name}: expected at most "24 days"`);
});

describe('TLS that would promise more than it does is refused:', () => {
  test.each<[Record<string, string>, string]>([
    [{ SOURCE_PG_SSLMODE: 'verify-full' }, 'SOURCE_PG_SSLROOTCERT: sslmode "verify-full" needs the file'],
    [{ SOURCE_PG_SSLMODE: 'verify-ca' }, 'SOURCE_PG_SSLROOTCERT: sslmode "verify-ca" needs the file'],
    [
      { SOURCE_PG_SSLMODE: 'require', SOURCE_PG_SSLROOTCERT: 'system' },
      'SOURCE_PG_SSLROOTCERT: "system" needs sslmode "verify-full"',
    ],
    [{ SOURCE_PG_SSLNEGOTIATION: 'direct' }, 'SOURCE_PG_SSLNEGOTIATION: "direct" needs sslmode "require"'],
    [{ SOURCE_PG_SSLCERT: 'c' }, 'SOURCE_PG_SSLKEY: a client certificate and its key must be set together'],
    [{ SOURCE_PG_SSLMODE: 'on' }, 'SOURCE_PG_SSLMODE: expected one of disable, allow'],
  ])('%o', (variables, words) => {
    expect(refusal(variables)).toContain(words);
  });

  test('but not where there is to be none', () => {
    const variables = {
      SOURCE_PG_SSLMODE: 'disable',
      SOURCE_PG_SSLCERT: 'c',
      SOURCE_PG_SSLROOTCERT: 'system',
    };
    expect(source('postgresql://u@h/d', variables).tls.mode).toBe('disable');
  });
});

describe('a variable that is misspelt is named:', () => {
  test.each([
    ['SOURCE_PG_SSLMOD', 'did you mean "SOURCE_PG_SSLMODE"?'],
    ['SOURCE_PG_POOLSIZE', 'did you mean "SOURCE_PG_POOL_SIZE"?'],
    ['WAREHOUSE_PG_SSLROOTCRT', 'did you mean "WAREHOUSE_PG_SSLROOTCERT"?'],
    ['SOURCE_SHOP_PG_SSLMODE', 'there is no SOURCE_SHOP_DATABASE_URL'],
  ])('%s', (name, words) => {
    expect(refusal({ [name]: 'x' })).toContain(`${name}: `);
    expect(refusal({ [name]: 'x' })).toContain(words);
  });

  test('and each source has its own', () => {
    const { sources } = read({
      SOURCE_DATABASE_URL: 'postgresql://h/d',
      SOURCE_PG_DATABASE_URL: 'postgresql://h/d',
      SOURCE_PG_PG_SSLMODE: 'require',
      SOURCE_EU_PG_DATABASE_URL: 'postgresql://h/d',
      SOURCE_EU_PG_PG_SSLMODE: 'disable',
    });
    expect([...sources].map(([name, { tls }]) => [name, tls.mode])).toEqual([
      ['default', 'prefer'],
      ['pg', 'require'],
      ['eu_pg', 'disable'],
    ]);
  });
});

describe('secrets in files', () => {
  test('are read when they are needed', async () => {
    const path = await file('password', 'first\n');
    const settings = source('postgresql://u@h/d', { SOURCE_PG_PASSWORD_FILE: path });
    expect(settings.password()).toBe('first');
    await file('password', 'second\n');
    expect(settings.password()).toBe('second');
  });

  test('may be whole URLs', async () => {
    const path = await file('url', 'postgresql://u:first@h/d\n');
    const settings = read({ SOURCE_SHOP_DATABASE_URL_FILE: path }).sources.get('shop');
    expect(settings).toMatchObject({ host: 'h', user: 'u' });
    expect(settings?.password()).toBe('first');
    await file('url', 'postgresql://u:second@h/d\n');
    expect(settings?.password()).toBe('second');
  });

  test('are not both in a file and in a variable, and are there', () => {
    expect(refusal({ SOURCE_PG_PASSWORD: 'hunter2', SOURCE_PG_PASSWORD_FILE: '/none' })).toContain(
      'SOURCE_PG_PASSWORD: is set, and SOURCE_PG_PASSWORD_FILE too',
    );
    expect(refusal({ SOURCE_PG_PASSWORD_FILE: join(directory, 'gone') })).toContain(
      'SOURCE_PG_PASSWORD_FILE: the file cannot be read (ENOENT)',
    );
  });
});

describe('a password file of libpq', () => {
  const text = `# comment:*:*:*:no
h:5432:other:u:of another database
h:5432:d:u:with \\: and \\\\ in it
*:*:*:v:of v anywhere
localhost:5432:d:u:by the socket
/srv/pg:5432:d:u:by a socket elsewhere`;

  test.each([
    ['postgresql://u@h/d', 'with : and \\ in it'],
    ['postgresql://u@h/other', 'of another database'],
    ['postgresql://v@elsewhere:6432/x', 'of v anywhere'],
    ['postgresql://u@/d?host=/var/run/postgresql', 'by the socket'],
    ['postgresql://u@/d?host=/srv/pg', 'by a socket elsewhere'],
    ['postgresql://w@h/d', undefined],
  ])('%s', async (url, password) => {
    expect(source(url, { PGPASSFILE: await file('pgpass', text) }).password()).toBe(password);
  });

  test('that others may read is not read', async () => {
    const settings = source('postgresql://u@h/d', { PGPASSFILE: await file('open', text, 0o644) });
    expect(() => settings.password()).toThrow('can be read by others: chmod 600 it');
  });
});

test('a service of libpq says what the URL does not', async () => {
  const services = await file(
    'pg_service.conf',
    '[other]\nhost=no\n[shop]\nhost=h\nport=6432\ndbname=d\nuser=u\nsslmode=require\n[more]\nuser=no\n',
  );
  const settings = source('postgresql://?service=shop', { PGSERVICEFILE: services });
  expect(settings).toMatchObject({
    host: 'h',
    port: 6432,
    database: 'd',
    user: 'u',
    tls: { mode: 'require' },
  });
  const other = source('postgresql://v@/', { PGSERVICEFILE: services, PGSERVICE: 'shop' });
  expect(other).toMatchObject({ host: 'h', port: 6432, user: 'v' });
  const inDirectory = source('postgresql://?service=shop', {
    PGSYSCONFDIR: directory,
    PGSERVICEFILE: join(directory, 'no'),
  });
  expect(inDirectory).toMatchObject({ host: 'h', user: 'u' });
});

test.each([
  ['hostaddr=10.0.0.5', 'unknown parameter "hostaddr"'],
  ['user = u', 'unknown parameter "user " (did you mean "user"?)'],
])('a service with "%s", which would not take effect, is refused', async (line, words) => {
  const services = await file('pg_service.conf', `[shop]\nhost=h\n# shop=1\n${line}\npassword=hunter2\n`);
  const message = refusal({ SOURCE_DATABASE_URL: 'postgresql://?service=shop', PGSERVICEFILE: services });
  expect(message).toContain(`SOURCE_DATABASE_URL: names the service "shop", which has an ${words}`);
  expect(message).not.toContain('hunter2');
});

describe('pools and the slots of workers belong together:', () => {
  const url = { SOURCE_DATABASE_URL: 'postgresql://h/d' };
  test.each<[string, Record<string, string>, number, number]>([
    ['as many sessions as slots', {}, 20, 20],
    ['more slots, more sessions', { DATAKIT_MAX_CONCURRENT_ACTIVITIES: '50' }, 50, 50],
    [
      'a smaller pool of the warehouse',
      { WAREHOUSE_PG_POOL_SIZE: '3', WAREHOUSE_PG_POOL_MAX_OVERFLOW: '2' },
      5,
      20,
    ],
    [
      'a smaller pool of the only source',
      { SOURCE_PG_POOL_SIZE: '3', SOURCE_PG_POOL_MAX_OVERFLOW: '0' },
      3,
      3,
    ],
  ])('%s', (_name, variables, activities, sessions) => {
    const { maxConcurrentActivities, sources } = read({ ...url, ...variables });
    expect(maxConcurrentActivities).toBe(activities);
    const { size, maxOverflow } = sources.get('default')?.pool ?? { size: 0, maxOverflow: 0 };
    expect(size + maxOverflow).toBe(sessions);
  });
});

describe('keys', () => {
  const key = Buffer.alloc(32, 7).toString('base64');
  const url = { SOURCE_DATABASE_URL: 'postgresql://h/d' };

  test('are named, the first encrypts', () => {
    const { encryptionKeys } = read({ ...url, DATAKIT_ENCRYPTION_KEYS: `new:${key}, old:${key}` });
    expect(encryptionKeys.map(({ id, key: { length } }) => [id, length])).toEqual([
      ['new', 32],
      ['old', 32],
    ]);
  });

  test.each([
    [`new:${key},${key}`, 'part 2 is not'],
    ['new:hunter2hunter2', 'part 1 is not'],
    [`a:${key},a:${key}`, 'two keys are called "a"'],
  ])('%s', (text, words) => {
    expect(refusal({ DATAKIT_ENCRYPTION_KEYS: text })).toContain(words);
    expect(refusal({ DATAKIT_ENCRYPTION_KEYS: text })).not.toContain('hunter2');
  });

  test('are not left out because their file is empty', async () => {
    const variables = { ...url, DATAKIT_ENCRYPTION_KEYS_FILE: await file('keys', '\n') };
    expect(refusal(variables)).toContain('DATAKIT_ENCRYPTION_KEYS: is set, and has no key');
    expect(read({ ...url, DATAKIT_ENCRYPTION_KEYS: '' }).encryptionKeys).toEqual([]);
  });

  test('are what a codec server needs, and a token where others can ask it', () => {
    expect(readCodecServer({ DATAKIT_ENCRYPTION_KEYS: `new:${key}` })).toMatchObject({
      host: '127.0.0.1',
      port: 8081,
      origin: 'http://localhost:8233',
    });
    expect(() => readCodecServer({})).toThrow('DATAKIT_ENCRYPTION_KEYS: is not set');
    const open = { DATAKIT_ENCRYPTION_KEYS: `new:${key}`, DATAKIT_CODEC_ADDRESS: '0.0.0.0:8081' };
    expect(() => readCodecServer(open)).toThrow('DATAKIT_CODEC_TOKEN: is required');
    expect(readCodecServer({ ...open, DATAKIT_CODEC_TOKEN: 'secret' })).toMatchObject({ token: 'secret' });
    const copied = {
      DATAKIT_ENCRYPTION_KEYS: `new:${key}`,
      DATAKIT_CODEC_ORIGIN: 'https://Temporal.example.com/namespaces/default',
    };
    expect(readCodecServer(copied)).toMatchObject({ origin: 'https://temporal.example.com' });
  });
});
