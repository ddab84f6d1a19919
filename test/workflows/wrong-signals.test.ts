import type { WorkflowHandle } from '@temporalio/client';
import { expect, test } from 'vitest';
import type { CopyChunksRequest } from '../../src/contract/chunks.ts';
import {
  caughtUp,
  planOf,
  prepared,
  withFakeCapture,
  withFakeDatabase,
  withFakes,
} from '../setup/fake-run.ts';
import { withResolvers } from '../setup/with-resolvers.ts';

const WRONG = [null, 'x', 5, [], {}, { tables: null, snapshot: null, position: null }];

/** Sends a signal with everything that it should not have, and with nothing. */
async function sendWrongly(handle: WorkflowHandle, name: string): Promise<void> {
  await handle.signal(name);
  for (const wrong of WRONG) await handle.signal(name, wrong);
  // answered only once the signals were taken
  await handle.query('__temporal_workflow_metadata');
}

test('signals that a run sends itself are ignored if they say something else', async () => {
  const begun = withResolvers();
  const release = withResolvers();
  const activities = {
    planExtraction: async () => planOf(3),
    copyChunks: async ({ count }: { count: number }) => {
      begun.resolve();
      await release.promise;
      return { rows: count, bytes: count };
    },
  };
  await withFakes(activities, { table: 'orders' }, async (handle) => {
    await begun.promise;
    for (const name of ['snapshotExported', 'progressObserved', 'parallelism'])
      await sendWrongly(handle, name);
    release.resolve();
    expect(await handle.result()).toMatchObject({ outcome: 'committed' });
  });
});

test('so are those of a run of many tables to the run of one', async () => {
  const begun = withResolvers();
  const release = withResolvers();
  const copiedOn: unknown[] = [];
  const activities = {
    readMembers: async () => [{ table: 'public.orders', bytes: 1, large: true }],
    planExtraction: async () => {
      begun.resolve();
      await release.promise;
      return planOf(1);
    },
    copyChunks: async ({ count, snapshot }: CopyChunksRequest) => {
      copiedOn.push(snapshot?.id);
      return { rows: count, bytes: count };
    },
  };
  await withFakeDatabase(activities, { tables: ['orders'] }, async (handle) => {
    await begun.promise;
    const child = handle.client.getHandle(`${handle.workflowId}/public.orders`);
    await sendWrongly(child, 'sharedSnapshot');
    release.resolve();
    expect(await handle.result()).toMatchObject({ outcome: 'complete' });
    expect(copiedOn).toEqual(['00000003-1']);
  });
});

test('so are those of a stream to its capture', async () => {
  const begun = withResolvers();
  const release = withResolvers();
  const activities = {
    prepareCapture: async () => prepared,
    streamChanges: async () => {
      begun.resolve();
      await release.promise;
      return caughtUp;
    },
  };
  await withFakeCapture(activities, { tables: ['orders'], until: 'caught-up' }, async (handle) => {
    await begun.promise;
    await sendWrongly(handle, 'streamProgress');
    expect(await handle.query('status')).toMatchObject({ transactions: 0, slotLagBytes: null });
    release.resolve();
    expect(await handle.result()).toMatchObject({ outcome: 'caught up' });
  });
});
