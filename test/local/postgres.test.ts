import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Client, type QueryResultRow } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPostgres, type PostgresServer } from '../../local/postgres.ts';

async function query(url: string, sql: string): Promise<QueryResultRow[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query<QueryResultRow>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('an embedded PostgreSQL', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({ databases: ['source'], settings: { work_mem: '5MB' } });
    await query(server.url('source'), 'CREATE TABLE kept AS SELECT 42 AS answer');
  });
  afterAll(() => server.dispose());

  test('can be extracted from, and is as durable as any', async () => {
    const rows = await query(server.url('source'), 'SELECT name, setting FROM pg_settings');
    const settings = new Map(rows.map(({ name, setting }) => [name as string, setting as string]));
    expect(settings.get('wal_level')).toBe('logical');
    expect(settings.get('max_replication_slots')).toBe('20');
    expect(settings.get('fsync')).toBe('on');
    expect(settings.get('synchronous_commit')).toBe('on');
    expect(settings.get('work_mem')).toBe('5120');
  });

  test('wants a password', async () => {
    const url = server.url('source', { user: 'postgres', password: 'wrong' });
    await expect(query(url, 'SELECT 1')).rejects.toThrow('password authentication failed');
  });

  test.each(['fast', 'immediate'] as const)('keeps port and data over a stop (%s)', async (mode) => {
    const { pid, port } = server;
    await server.stop(mode);
    await expect(query(server.url('source'), 'SELECT 1')).rejects.toThrow('ECONNREFUSED');
    await server.start();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    expect(await query(server.url('source'), 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  test('starts again after a SIGKILL, while its orphaned backends linger', async () => {
    process.kill(server.pid, 'SIGKILL');
    await server.stop('immediate');
    await server.start();
    expect(await query(server.url('source'), 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  test('makes a database from a template', async () => {
    const url = await server.createDatabase('a "copy"', 'source');
    expect(await query(url, 'SELECT answer FROM kept')).toEqual([{ answer: 42 }]);
  });

  test('says why it does not start', async () => {
    const starting = startPostgres({ settings: { no_such_setting: '1' } });
    await expect(starting).rejects.toThrow(/did not start[\s\S]*no_such_setting/);
  });
});

test(
  'two start at once, stepping over each other’s port, and leave nothing behind',
  { tags: 'long' },
  async () => {
    const servers = await Promise.all([startPostgres({ port: 25_432 }), startPostgres({ port: 25_432 })]);
    const [one, two] = servers.map((server) => server.port);
    expect(one).not.toBe(two);
    await Promise.all(servers.map((server) => server.dispose()));
    for (const { dataDirectory } of servers)
      await expect(access(dirname(dataDirectory))).rejects.toThrow('ENOENT');
  },
);
