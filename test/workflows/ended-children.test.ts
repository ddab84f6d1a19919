import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { expect, test } from 'vitest';
import type { Activities } from '../../src/contract/activities.ts';
import type { Span } from '../../src/contract/chunks.ts';
import type { ExtractDatabaseRequest } from '../../src/contract/extract-database.ts';
import { HeldTasks } from '../setup/held-tasks.ts';
import { planOf, untilCancelled, withFakeDatabase, withFakes } from '../setup/fake-run.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { withResolvers } from '../setup/with-resolvers.ts';
import { sourceWith } from './many-tables.ts';

const committed = { outcome: 'committed', rows: 1, bytes: 1, warnings: [], source: 'default' } as const;
const oneLarge = sourceWith([{ table: 'public.orders', bytes: 1024 ** 3, large: true }]);
const request: ExtractDatabaseRequest = { tables: ['public.orders'], consistency: 'table' };

test(
  'a pause and a new width fail no run whose child has just ended, and reach the next child',
  { tags: 'long' },
  async () => {
    const [last, end] = [withResolvers(), withResolvers()];
    const told: boolean[] = [];
    const fakes: Partial<Activities> = {
      planExtraction: async () => planOf(8_001),
      copyChunks: async ({ from, count }: Span) => {
        if (from + count === 4_000) {
          last.resolve();
          await end.promise;
        }
        return { rows: count, bytes: count };
      },
      pauseCopies: async ({ paused }) => void told.push(paused),
    };
    const tasks = new HeldTasks();
    await withFakes(
      fakes,
      { table: 'orders', parallelism: 16 },
      async (handle) => {
        await last.promise;
        await HeldTasks.send(handle);
        await tasks.held();
        end.resolve();
        await handle.client.getHandle(`${handle.workflowId}/1/orders, chunks 1 to 4000 of 8001`).result();
        await handle.signal('parallelism', 8);
        await handle.signal('pause');
        tasks.release();
        await expect.poll(() => told, { timeout: 30_000 }).toEqual([true]);
        await handle.signal('resume');
        expect(await handle.result()).toMatchObject({ chunks: 8_001, restarts: 0 });
        expect(told).toEqual([true, false]);
      },
      tasks,
    );
  },
);

test('a table that ended before it could be told of a pause is in bronze', async () => {
  const planned = withResolvers();
  const fakes: Partial<Activities> = {
    ...oneLarge,
    planExtraction: async () => {
      planned.resolve();
      return { ...planOf(1), outcome: committed };
    },
  };
  const started = withResolvers<WorkflowHandle>();
  const tasks = new HeldTasks({
    text: '"member":0', // the command that starts the child
    act: async () => {
      const handle = await started.promise;
      await HeldTasks.send(handle);
      await handle.signal('pause');
    },
  });
  await withFakeDatabase(
    fakes,
    request,
    async (handle) => {
      started.resolve(handle);
      await planned.promise;
      await handle.client.getHandle(`${handle.workflowId}/public.orders`).result();
      tasks.release();
      expect(await handle.result()).toMatchObject({ outcome: 'complete', committed: 1 });
    },
    tasks,
  );
});

test('a table hears of a pause and a new width that came while its workflow started', async () => {
  let under = 0;
  const fakes: Partial<Activities> = {
    ...oneLarge,
    planExtraction: async () => planOf(20),
    copyChunks: async () => {
      under += 1;
      return untilCancelled();
    },
  };
  const started = withResolvers<WorkflowHandle>();
  const tasks = new HeldTasks({
    text: '"member":0', // the command that starts the child
    act: async () => {
      const handle = await started.promise;
      await handle.signal('pause');
      // answered only after the task that is held up
      void handle.executeUpdate('setParallelism', { args: [3] }).catch(() => undefined);
      await sleep(300);
    },
  });
  await withFakeDatabase(
    fakes,
    { ...request, parallelism: 2 },
    async (handle) => {
      started.resolve(handle);
      const child = handle.client.getHandle(`${handle.workflowId}/public.orders`);
      const phase = async () =>
        child.query<{ phase: string }>('progress').then(
          (progress) => progress.phase,
          () => undefined, // it has not started
        );
      try {
        await waitUntil(async () => (await phase()) === 'paused');
        await handle.signal('resume');
        await waitUntil(async () => under === 3);
      } finally {
        await handle.cancel();
      }
      await expect(handle.result()).rejects.toThrow(/cancel/i);
    },
    tasks,
  );
});

test('a pause that could not be told is told again', { tags: 'long' }, async () => {
  const told: boolean[] = [];
  const pausedOnce = withResolvers();
  const fakes: Partial<Activities> = {
    planExtraction: async () => planOf(3),
    copyChunks: async ({ count }) => {
      await pausedOnce.promise;
      return { rows: count, bytes: count };
    },
    pauseCopies: async ({ paused }) => {
      told.push(paused);
      if (told.length === 1) throw ApplicationFailure.nonRetryable('no permission', 'PermissionDenied');
      pausedOnce.resolve();
    },
  };
  await withFakes(fakes, { table: 'orders', parallelism: 1 }, async (handle) => {
    await handle.signal('pause');
    await expect.poll(() => told, { timeout: 90_000 }).toEqual([true, true]);
    await handle.signal('resume');
    expect(await handle.result()).toMatchObject({ chunks: 3 });
    expect(told).toEqual([true, true, false]);
  });
});

test('a run that takes the place of a terminated one waits for the tables of that to end', async () => {
  const [planned, end] = [withResolvers(), withResolvers()];
  const fakes: Partial<Activities> = {
    ...oneLarge,
    planExtraction: async () => {
      planned.resolve();
      await end.promise;
      return { ...planOf(1), outcome: committed };
    },
  };
  await withFakeDatabase(fakes, request, async ({ client, workflowId }) => {
    await planned.promise;
    const later = await client.start('extractDatabase', {
      workflowId,
      taskQueue: workflowId,
      workflowIdConflictPolicy: 'TERMINATE_EXISTING',
      args: [request],
    });
    await waitUntil(async () => {
      const { events } = await later.fetchHistory();
      return events?.some((event) => event.startChildWorkflowExecutionFailedEventAttributes) === true;
    });
    end.resolve();
    expect(await later.result()).toMatchObject({ outcome: 'complete', committed: 1 });
  });
});

test('a table of a run with the longest workflow id there is has an id by the run', async () => {
  const fakes: Partial<Activities> = {
    ...oneLarge,
    planExtraction: async () => ({ ...planOf(1), outcome: committed }),
  };
  await withFakeDatabase(fakes, request, async ({ client, workflowId: taskQueue }) => {
    const workflowId = taskQueue.padEnd(1000, '-');
    const handle = await client.start('extractDatabase', { workflowId, taskQueue, args: [request] });
    expect(await handle.result()).toMatchObject({ outcome: 'complete', committed: 1 });
    const child = client.getHandle(`${handle.firstExecutionRunId}/public.orders`);
    expect(await child.result()).toMatchObject({ outcome: 'committed' });
  });
});
