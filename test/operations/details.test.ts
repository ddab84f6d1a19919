import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { createLastingActivities } from '../../src/activities/create-activities.ts';
import type { Observed, WatchRequest } from '../../src/contract/observed.ts';
import type { Progress } from '../../src/contract/progress.ts';
import { connectDatabases } from '../../src/runtime/connect-databases.ts';
import { Gate } from '../setup/gate.ts';
import { Lab, type ExtractHandle } from '../setup/lab.ts';
import { tableLines } from '../setup/table-lines.ts';
import { waitUntil } from '../setup/wait-until.ts';

let lab: Lab;
let gate: Gate;
let handle: ExtractHandle;

/** Returns the details of the run in the Web UI. */
async function details(): Promise<string> {
  const { currentDetails } = await handle.query<{ currentDetails: string }>('__temporal_workflow_metadata');
  return currentDetails;
}

/** Returns its tables. */
const tables = async (): Promise<string> => tableLines(await details()).join('\n');

const eventsOf = async () => (await handle.fetchHistory()).events ?? [];

/** Returns the run's request to the activity that watches the ledger. */
async function watchRequest(): Promise<WatchRequest> {
  const [watching] = (await eventsOf()).flatMap(({ activityTaskScheduledEventAttributes: scheduled }) =>
    scheduled?.activityType?.name === 'watchProgress' ? [scheduled.input?.payloads?.[0]] : [],
  );
  if (watching === undefined || watching === null) throw new Error('nothing looks at the ledger');
  return defaultPayloadConverter.fromPayload(watching);
}

beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query(`CREATE TABLE orders (id int, filler text) PARTITION BY RANGE (id);
    CREATE TABLE orders_1 PARTITION OF orders FOR VALUES FROM (0) TO (500);
    CREATE TABLE orders_2 PARTITION OF orders FOR VALUES FROM (500) TO (2500);
    CREATE TABLE orders_3 PARTITION OF orders FOR VALUES FROM (2500) TO (3000);
    INSERT INTO orders SELECT i, repeat('x', 400) FROM generate_series(0, 2999) i;
    ANALYZE orders`);
  gate = await Gate.closed(lab);
  // the only copy is held up in the second chunk of the second partition
  handle = await lab.start({ table: 'orders', chunkSize: '256kB', parallelism: 1, where: 'gate(id = 1300)' });
  await gate.reached();
});
afterAll(async () => lab.close());

test('the details tell of partitions while an activity copies them, and at the end of all rows', async () => {
  expect(await tables()).not.toContain('| copied |');
  await waitUntil(async () => (await tables()).includes('| orders\\_1 | copied | 1 of 1 |'));
  const shown = await tables();
  expect(shown).toMatch(/\| orders\\_2 \| copying \| 1 of 4 \| .* \| [1-9]\d* \| .* \|/);
  expect(shown).toMatch(/\| the others \| {2}\| 0 of 1 \| {2}\| 0 \| 0 B \|/);
  expect(await details()).toMatch(/Snapshot of \S+, .* old\./);
  const { partitions } = await handle.query<Progress>('progress');
  expect(partitions?.map(({ name, chunksDone, chunks }) => [name, chunksDone, chunks])).toEqual([
    ['orders_2', 1, 4],
    ['orders_1', 1, 1],
  ]);
  // so the details did not come from the end of a copy
  const ended = (await eventsOf()).filter(({ activityTaskCompletedEventAttributes }) =>
    Boolean(activityTaskCompletedEventAttributes),
  );
  expect(ended).toHaveLength(1);
});

test('they are refreshed within every five seconds', async () => {
  const told: Observed[] = [];
  const signal = async (_name: string, observed: Observed) => void told.push(observed);
  // the only fake, since time stands still for it too
  const client = {
    workflow: { getHandle: () => ({ signal }) },
    withAbortSignal: async (_signal: unknown, work: () => Promise<unknown>) => work(),
  } as unknown as Client;
  const databases = connectDatabases(lab.configuration());
  const { watchProgress } = createLastingActivities(databases);
  const environment = new MockActivityEnvironment(
    { workflowExecution: { workflowId: 'w', runId: 'r' } },
    { client },
  );
  // real time only passes here, for the warehouse to answer
  const hasTold = async (times: number, watching: Promise<unknown>) => {
    const deadline = performance.now() + 10_000;
    const looking = async () => {
      while (told.length < times && performance.now() < deadline)
        await new Promise((resolve) => setImmediate(resolve));
    };
    await Promise.race([looking(), watching]);
    expect(told).toHaveLength(times);
  };
  const request = await watchRequest();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
  try {
    const watching = environment.run(watchProgress, request);
    await hasTold(1, watching);
    for (let tick = 1; tick <= 3; tick += 1) {
      await vi.advanceTimersByTimeAsync(4_900);
      await hasTold(1 + tick, watching);
    }
    environment.cancel();
    await expect(watching).rejects.toThrow(/cancel/i);
  } finally {
    vi.useRealTimers();
    await databases.close();
  }
  expect(told[0]).toMatchObject({
    tables: [{ table: 'public.orders' }],
    partitions: { chunksDone: [1, 1, 0] },
  });
});

test('and when the run has ended they have all rows', async () => {
  await gate.open();
  await handle.result();
  expect(await details()).toContain('**public.orders**: done');
  const shown = await tables();
  expect(shown).toMatch(/\| orders\\_2 \| copied \| 4 of 4 \| {2}\| 2,000 \|/);
  expect(shown).toMatch(/\| orders\\_1 \| copied \| 1 of 1 \| {2}\| 500 \|/);
  expect(shown).toMatch(/\| orders\\_3 \| copied \| 1 of 1 \| {2}\| 500 \|/);
});
