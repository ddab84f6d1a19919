import { afterAll, beforeAll, expect, test } from 'vitest';
import { Database } from '../../src/postgres/database.ts';
import { connectionTo } from '../setup/connection-to.ts';
import type { Session } from '../../src/postgres/session.ts';
import { exportSnapshot, importSnapshot } from '../../src/postgres/snapshot.ts';
import { Lab } from '../setup/lab.ts';
import { withResolvers } from '../setup/with-resolvers.ts';

let lab: Lab;
let database: Database;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  database = new Database({ label: 'source "default"', settings: connectionTo(lab.sourceUrl) });
  await lab.source.query('CREATE TABLE orders AS SELECT 1 AS id');
});
afterAll(async () => {
  await database.close();
  await lab.close();
});

/** Opens a transaction that the test ends. */
async function open<T>(
  enter: (session: Session) => Promise<T>,
): Promise<{ entered: T; end: () => Promise<void> }> {
  const { promise: ended, resolve: end } = withResolvers();
  const { promise: entered, resolve: enteredWith } = withResolvers<T>();
  const transaction = database.read({}, async (session) => {
    enteredWith(await enter(session));
    await ended;
  });
  return {
    entered: await Promise.race([entered, transaction.then(() => entered)]),
    end: async () => {
      end();
      await transaction;
    },
  };
}

test('a snapshot goes on in a session that imported it, when the one that exported it ends', async () => {
  const first = await open(async (session) => exportSnapshot(session));
  await lab.source.query('INSERT INTO orders VALUES (2)');
  const second = await open(async (session) => exportSnapshot(session, first.entered));
  // its moment is that of the first, not of the import
  expect(first.entered.lsn).toBeDefined();
  expect(second.entered).toEqual({ ...first.entered, id: second.entered.id });
  await first.end();
  await lab.source.query('INSERT INTO orders VALUES (3)');
  const seen = await database.read({}, async (session) => {
    await importSnapshot(session, second.entered);
    return session.query('SELECT id FROM public.orders');
  });
  expect(seen).toEqual([{ id: 1 }]);
  await second.end();
});

test('a snapshot whose holder is gone is told from every other failure', async () => {
  const holder = await open(async (session) => exportSnapshot(session));
  await holder.end();
  const entering = database.read({}, async (session) => importSnapshot(session, holder.entered));
  await expect(entering).rejects.toMatchObject({ kind: 'SnapshotLost' });
  const nonsense = database.read({}, async (session) => importSnapshot(session, { id: 'x', takenAt: '' }));
  await expect(nonsense).rejects.toMatchObject({ kind: 'SnapshotLost' });
});

test('another snapshot of the same id, as a server has after a restart, is not taken for it', async () => {
  const first = await open(async (session) => exportSnapshot(session));
  await first.end();
  await lab.source.query('INSERT INTO orders VALUES (4)');
  const second = await open(async (session) => exportSnapshot(session));
  const lost = { ...first.entered, id: second.entered.id };
  const entering = database.read({}, async (session) => importSnapshot(session, lost));
  await expect(entering).rejects.toMatchObject({
    kind: 'SnapshotLost',
    message: expect.stringMatching(/or this one is on another server/) as string,
  });
  await database.read({}, async (session) => importSnapshot(session, second.entered));
  await second.end();
});
