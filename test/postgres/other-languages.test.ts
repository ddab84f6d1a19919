import { createServer } from 'node:net';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { applicationName } from '../../src/postgres/application-name.ts';
import { Database } from '../../src/postgres/database.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { waitUntil } from '../setup/wait-until.ts';

const run = `languages test ${process.pid}`;

/** Sleeps, and says that it was interrupted as a server with `lc_messages = 'de_DE.UTF-8'` does. */
const SLEEP_IN_GERMAN = `CREATE FUNCTION sleep_in_german() RETURNS int LANGUAGE plpgsql AS $$
  BEGIN PERFORM pg_sleep(60); RETURN 1;
  EXCEPTION WHEN query_canceled THEN
    RAISE query_canceled USING MESSAGE = 'storniere Anfrage';
  END $$`;

let admin: Client;
let database: Database;
beforeAll(async () => {
  admin = new Client(inject('sourceAdmin'));
  await admin.connect();
  await admin.query(SLEEP_IN_GERMAN);
  database = new Database({ label: 'source "default"', settings: connectionTo(inject('sourceAdmin')) });
});
afterAll(async () => {
  await database.close();
  await admin.query('DROP FUNCTION sleep_in_german');
  await admin.end();
});

const sleep = async (statementTimeout: number): Promise<unknown> =>
  database.read({ run, statementTimeout }, async (session) =>
    session.query('SELECT public.sleep_in_german()'),
  );

/** Cancels what sleeps until it has ended, since a server may lose a request that comes as the statement begins. */
async function cancel(sleeping: Promise<unknown>): Promise<void> {
  let hasEnded = false;
  void sleeping.then(() => (hasEnded = true));
  const found = `application_name = '${applicationName(run)}' AND query LIKE '%sleep_in_german%' AND state = 'active'`;
  await waitUntil(async () => {
    await admin.query(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE ${found}`);
    return hasEnded;
  });
}

describe('a server that speaks another language', () => {
  test('is understood when a statement took too long', async () => {
    await expect(sleep(50)).rejects.toMatchObject({
      kind: 'StatementTimeout',
      message: expect.stringContaining('it ran into statement_timeout, 50 ms') as string,
    });
  });

  test('is understood when somebody cancelled a statement', async () => {
    const sleeping = sleep(60_000).catch((error: unknown) => error);
    await cancel(sleeping);
    expect(await sleeping).toMatchObject({ kind: 'StatementCancelled' });
  });

  test('is quoted when it does not let a session begin', async () => {
    const words = 'нераспознанный параметр конфигурации: "no_such_setting"';
    await using server = await refusingServer({ S: 'ВАЖНО', C: '42704', M: words, F: 'guc.c' });
    const refused = new Database({
      label: 'source "default"',
      settings: connectionTo(`postgresql://somebody:secret@127.0.0.1:${server.port}/shop`),
    });
    await expect(refused.read({}, async () => 'never')).rejects.toThrow(words);
    await refused.close();
  });
});

/** Starts a server that answers every request for a session with an error of these fields. */
async function refusingServer(fields: Readonly<Record<string, string>>) {
  const contents = Buffer.from(
    `${Object.entries(fields)
      .map(([field, value]) => `${field}${value}\0`)
      .join('')}\0`,
  );
  const header = Buffer.from('E\0\0\0\0');
  header.writeUInt32BE(contents.length + 4, 1);
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end(Buffer.concat([header, contents])));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    port: address.port,
    [Symbol.asyncDispose]: async () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
