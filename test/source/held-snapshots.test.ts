import { Client } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createLastingActivities } from '../../src/activities/create-activities.ts';
import type { HeldSnapshot, HoldSnapshotRequest } from '../../src/contract/snapshot.ts';
import { applicationName } from '../../src/postgres/application-name.ts';
import { importSnapshot } from '../../src/postgres/snapshot.ts';
import { connectDatabases, type ConnectedDatabases } from '../../src/runtime/connect-databases.ts';
import { Lab } from '../setup/lab.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
let databases: ConnectedDatabases;
/** Those of a test, which end with it, whatever becomes of it. */
const holders: Holder[] = [];
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  await lab.source.query('CREATE TABLE orders AS SELECT 1 AS id');
  const stranger = Object.assign(new URL(lab.sourceUrl), { password: 'not the password' });
  databases = connectDatabases(
    lab.configuration({ environment: { SOURCE_SECOND_DATABASE_URL: stranger.href } }),
  );
});
afterEach(async () => {
  await Promise.all(holders.splice(0).map(async (holder) => holder.end()));
});
afterAll(async () => {
  await databases.close();
  await lab.close();
});

/** An activity that holds a snapshot, and what it says to its workflow. */
class Holder {
  readonly told: HeldSnapshot[] = [];
  /** How often the workflow cannot be told that the worker leaves. */
  deaf = 0;
  readonly ended: Promise<unknown>;
  readonly #environment: MockActivityEnvironment;

  constructor(request: Partial<HoldSnapshotRequest>, attempt: number, isStopping = false) {
    const signal = async ({ args: [held] }: { readonly args: unknown[] }) => this.#hear(held as HeldSnapshot);
    const client = new Client({
      connection: lab.temporal.connection,
      interceptors: { workflow: [{ signal }] },
    });
    this.#environment = new MockActivityEnvironment(
      { attempt },
      { client, logger: new DefaultLogger('ERROR') },
    );
    const { holdSnapshot } = createLastingActivities({ ...databases, isStopping: () => isStopping });
    const whole = { source: 'default', runId: 'a run', holder: 'a holder', ...request };
    this.ended = this.#environment.run(async () => holdSnapshot(whole)).catch((error: unknown) => error);
  }

  #hear(held: HeldSnapshot): void {
    if (held.leaving === true && (this.deaf -= 1) >= 0) throw new Error('nobody answers');
    this.told.push(held);
  }

  async first(): Promise<HeldSnapshot> {
    await waitUntil(async () => this.told.length > 0);
    const [held] = this.told;
    if (held === undefined) throw new Error('nothing is held');
    return held;
  }

  async end(): Promise<void> {
    this.#environment.cancel();
    await this.ended;
  }
}

test('a snapshot is held by another worker, too, or by the same where there is no other, and is the same', async () => {
  const one = new Holder({}, 1);
  const from = await one.first();
  await lab.source.query('INSERT INTO orders VALUES (2)');
  for (const attempt of [1, 4]) {
    expect(await new Holder({ from }, attempt).ended).toMatchObject({
      type: 'SameWorker',
      nonRetryable: false,
    });
  }
  const elsewhere = new Holder({ from: { ...from, worker: 'another' } }, 1);
  const here = new Holder({ from }, 5);
  await Promise.all([elsewhere.first(), here.first()]);
  await one.end();
  for (const other of [elsewhere, here]) {
    const { snapshot } = await other.first();
    const seen = await databases.sourceNamed('default').read({}, async (session) => {
      await importSnapshot(session, snapshot);
      return session.query('SELECT id FROM public.orders');
    });
    expect(seen).toEqual([{ id: 1 }]);
    await other.end();
  }
});

test('a holder on a worker that stops says so until it is heard, and ends with its session', async () => {
  const holder = new Holder({ runId: 'a lost run' }, 1, true);
  holder.deaf = 1;
  await waitUntil(async () => holder.told.length === 2);
  const held = await holder.first();
  await lab.source.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1',
    [applicationName('a lost run')],
  );
  expect(await holder.ended).toMatchObject({ type: 'SnapshotLost', nonRetryable: true });
  // a snapshot of another moment under the same name would be mixed with it
  expect(holder.told).toEqual([held, { ...held, leaving: true }]);
});

test('a holder that hangs is ended by the server when its session was idle for too long', async () => {
  const holder = new Holder({ idleTimeout: 300 }, 1);
  await holder.first();
  expect(await holder.ended).toMatchObject({
    type: 'SnapshotLost',
    message: expect.stringContaining('idle-in-transaction timeout') as string,
  });
});

test('a holder that is refused for a reason that stays does not go on asking', async () => {
  expect(await new Holder({ source: 'second' }, 1).ended).toMatchObject({
    type: 'AuthenticationFailed',
    nonRetryable: true,
  });
});
