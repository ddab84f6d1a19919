import { createServer } from 'node:net';
import { escapeLiteral } from 'pg';
import { expect, inject, test } from 'vitest';
import { Database } from '../../src/postgres/database.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';

/** The protocol's `AuthenticationCleartextPassword` message. */
const ASK_FOR_PASSWORD = Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]);

test('a server that asks for a password that nobody has set is not left waiting for it', async () => {
  let hungUp: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => (hungUp = resolve));
  const server = createServer((socket) => {
    socket.once('data', () => socket.write(ASK_FOR_PASSWORD));
    socket.on('error', () => undefined);
    socket.on('close', hungUp);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const port = address === null || typeof address === 'string' ? 0 : address.port;
  const url = `postgresql://reader@127.0.0.1:${port}/shop?sslmode=disable&passfile=/none`;
  const database = new Database({ label: 'source "default"', settings: connectionTo(url) });
  await expect(database.connect()).rejects.toMatchObject({
    kind: 'AuthenticationFailed',
    message: 'source "default": the server asks for a password, and none is set',
  });
  await closed;
  await database.close();
  server.close();
});

test('a password may have any characters, and be hashed as often as the server is set to', async () => {
  const admin = inject('sourceAdmin');
  const role = `hashed_${process.pid}`;
  const password = "½ a:b@c/d?e#f%g&h'i\\j";
  await administer(admin, [
    `SET scram_iterations = 150000; CREATE ROLE ${role} LOGIN PASSWORD ${escapeLiteral(password)}`,
  ]);
  const url = new URL(admin);
  Object.assign(url, { username: role, password: encodeURIComponent(password) });
  const database = new Database({ label: 'source "default"', settings: connectionTo(url.href) });
  const who = database.read({}, async (session) => session.query('SELECT current_user AS role'));
  await expect(who).resolves.toEqual([{ role }]);
  await database.close();
  await administer(admin, [`DROP ROLE ${role}`]);
});
