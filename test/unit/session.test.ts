import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError } from 'pg';
import { expect, test } from 'vitest';
import { CopyIn } from '../../src/postgres/copy/copy-in.ts';
import { Session } from '../../src/postgres/session.ts';
import type { Lease } from '../../src/postgres/session-pool.ts';

/** A session of a server that answers every statement at once. */
function openSession(): Session {
  const query = (what: unknown) => (typeof what === 'string' ? Promise.resolve({ rows: [] }) : what);
  const lease = { client: Object.assign(new EventEmitter(), { query }), giveBack: () => undefined };
  return new Session('source "default"', lease as unknown as Lease);
}

const cancelled = Object.assign(new DatabaseError('annulé', 6, 'error'), { code: '57014' });

test('a COPY that somebody cancelled is not said to have taken too long, however long its transaction did', async () => {
  const session = openSession();
  session.statementTimeout = 50;
  await session.query('SELECT 1');
  await sleep(60);
  const copying = session.copy(new CopyIn('COPY orders FROM STDIN'), async () => Promise.reject(cancelled));
  await expect(copying).rejects.toMatchObject({ kind: 'StatementCancelled' });
  const lasting = session.copy(new CopyIn('COPY orders FROM STDIN'), async () => {
    await sleep(60);
    throw cancelled;
  });
  await expect(lasting).rejects.toMatchObject({ kind: 'StatementTimeout' });
});
