import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { expect, test } from 'vitest';
import type { Span } from '../../src/contract/chunks.ts';
import { planOf, untilCancelled, withFakes } from '../setup/fake-run.ts';
import { HeldTasks } from '../setup/held-tasks.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { withResolvers } from '../setup/with-resolvers.ts';
import { Copies, historyFacts, LARGEST_PAYLOAD, largePlan, MOST_EVENTS, stretchOf } from './large-plan.ts';

test('10,000 small partitions share chunks, and neither a payload nor the history grows with them', async () => {
  const { plan, summary } = await largePlan({ partitions: 10_000, blocksEach: 2, parallelism: 8 });
  const copies = new Copies(plan);
  const fakes = { planExtraction: async () => summary, copyChunks: copies.copyChunks };
  await withFakes(fakes, { table: 'orders', parallelism: 8 }, async (handle) => {
    expect(await handle.result()).toMatchObject({ partitions: 10_000, chunks: 157 });
    expect(copies.wrong()).toBe(0);
    const { events, payload, children } = await historyFacts(handle);
    expect(events).toBeLessThan(MOST_EVENTS / 10);
    expect(payload).toBeGreaterThan(1_000);
    expect(payload).toBeLessThan(LARGEST_PAYLOAD);
    expect(children).toEqual([]);
  });
});

test('a large plan goes to children, whose copies it waits for, and whose failure ends it', async () => {
  const copied: number[] = [];
  const copyChunks = async ({ from, count }: Span) => {
    if (from >= 100) throw ApplicationFailure.nonRetryable('nobody may read it', 'PermissionDenied');
    copied.push(...Array.from({ length: count }, (_, index) => from + index));
    return { rows: count, bytes: count };
  };
  const fakes = { planExtraction: async () => planOf(9_500), copyChunks };
  await withFakes(fakes, { table: 'orders', parallelism: 2 }, async (handle) => {
    await expect(handle.result()).rejects.toMatchObject({
      cause: { type: 'PermissionDenied', message: 'nobody may read it' },
    });
    expect(copied).toEqual([...new Set(copied)]);
    expect(copied.length).toBeGreaterThanOrEqual(100);
    const { children } = await historyFacts(handle);
    expect(children.map(stretchOf)).toEqual(['orders, chunks 1 to 4000 of 9500']);
  });
});

test(
  'a new width and a pause reach the child that copies, also while it starts',
  { tags: 'long' },
  async () => {
    const under: (() => void)[] = [];
    const told: boolean[] = [];
    const endAll = () => under.splice(0).forEach((end) => end());
    const fakes = {
      planExtraction: async () => planOf(9_500),
      copyChunks: async ({ count }: Span) => {
        await Promise.race([new Promise<void>((end) => under.push(end)), untilCancelled()]);
        return { rows: count, bytes: count };
      },
      pauseCopies: async ({ paused }: { readonly paused: boolean }) => void told.push(paused),
    };
    const started = withResolvers<WorkflowHandle>();
    const tasks = new HeldTasks({
      text: '"stretch"', // the command that starts the child
      act: async () => {
        const handle = await started.promise;
        await handle.signal('parallelism', 3);
        await handle.signal('pause');
      },
    });
    const beginsNone = async () => {
      endAll();
      await sleep(500);
      expect(under).toEqual([]);
    };
    await withFakes(
      fakes,
      { table: 'orders', parallelism: 1 },
      async (handle) => {
        started.resolve(handle);
        try {
          await waitUntil(async () => told.length === 1);
          await sleep(500); // until the child hears of it, it begins copies
          await beginsNone();
          await handle.signal('resume');
          await waitUntil(async () => under.length === 3);
          await handle.executeUpdate('setParallelism', { args: [5] });
          await waitUntil(async () => under.length === 5);
          await handle.signal('pause');
          await waitUntil(async () => told.length === 3);
          await beginsNone();
        } finally {
          await handle.cancel();
        }
        await expect(handle.result()).rejects.toThrow(/cancel/i);
      },
      tasks,
    );
  },
);
