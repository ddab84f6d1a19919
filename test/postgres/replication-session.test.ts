import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Database } from '../../src/postgres/database.ts';
import { ReplicationSession } from '../../src/postgres/replication/replication-session.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { TcpProxy } from '../setup/tcp-proxy.ts';

/** A role whose transactions may last for a moment only. */
const ROLE = `brief_${process.pid}`;
const dropRole = async () => administer(inject('sourceAdmin'), [`DROP ROLE IF EXISTS ${ROLE}`]);

beforeAll(async () => {
  await dropRole();
  await administer(inject('sourceAdmin'), [
    `CREATE ROLE ${ROLE} LOGIN REPLICATION PASSWORD 'reader-secret'`,
    `ALTER ROLE ${ROLE} SET transaction_timeout = '300ms'`,
  ]);
});
afterAll(dropRole);

const settings = () =>
  connectionTo(
    Object.assign(new URL(inject('sourceAdmin')), { username: ROLE, password: 'reader-secret' }).href,
  );

test('the snapshot of a slot is held for longer than transactions of the role may last', async () => {
  const database = new Database({ label: 'source', settings: settings() });
  await using session = await ReplicationSession.open(database, 'run', new AbortController().signal);
  await session.createSlot(`held_for_long_${process.pid}`, 'temporary');
  await administer(inject('sourceAdmin'), ['SELECT pg_sleep(0.6)']);
  expect(session.lost).toBeUndefined();
});

test('a session that is aborted does not wait for a server that hangs', async () => {
  await using proxy = await TcpProxy.start(settings());
  const database = new Database({ label: 'source', settings: { ...settings(), port: proxy.port } });
  const cancelling = new AbortController();
  await using session = await ReplicationSession.open(database, 'run', cancelling.signal);
  proxy.stall();
  const asking = session.identify();
  cancelling.abort(new Error('stop'));
  await expect(asking).rejects.toThrow('stop');
});
