import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, Context } from '@temporalio/activity';
import { describe, expect, test } from 'vitest';
import type { Activities } from '../../src/contract/activities.ts';
import type { ExtractDatabaseRequest } from '../../src/contract/extract-database.ts';
import { planOf, signalSnapshot, untilCancelled, withFakeDatabase } from '../setup/fake-run.ts';
import { eventually, expectWithinLimits, HeldCopies, large, sourceWith } from './many-tables.ts';

// the long suite has ten thousand
test(
  'a run of two thousand tables ends far within the limits of a history and of payloads',
  { tags: 'long' },
  async () => {
    await expectWithinLimits(2_000, 2_000);
  },
);

describe('parallelism', () => {
  test('is shared by all tables, the largest first, and what one leaves the others get', async () => {
    const copies = new HeldCopies();
    const fakes = { ...sourceWith(large(900, 600, 300)), copyChunks: copies.copyChunks };
    await withFakeDatabase(
      fakes,
      { tables: ['public.*'], parallelism: 4, maxTablesAtOnce: 2 },
      async (handle) => {
        await eventually(() => copies.under.length === 4);
        expect(copies.counts()).toEqual({ 'public.large_0': 2, 'public.large_1': 2 });
        copies.open('public.large_0');
        await eventually(() => (copies.counts()['public.large_2'] ?? 0) === 2);
        copies.open('public.large_1');
        await eventually(() => (copies.counts()['public.large_2'] ?? 0) === 4);
        expect(await handle.executeUpdate('setParallelism', { args: [6] })).toBe(4);
        await eventually(() => (copies.counts()['public.large_2'] ?? 0) === 6);
        expect(copies.most).toBe(6);
        copies.open('public.large_2');
        expect(await handle.result()).toMatchObject({ committed: 3 });
      },
    );
  });
});

describe('a table that begins late', () => {
  test('gets a copy from another, which begins no other in its place', async () => {
    const under: { readonly planId: string; readonly end: () => void }[] = [];
    const counts = () => under.map(({ planId }) => planId).toSorted();
    let isAway = true;
    const source = sourceWith(large(900, 600));
    const fakes: Partial<Activities> = {
      ...source,
      planExtraction: async (request) => {
        if (isAway && request.input.table.name === 'large_1') throw ApplicationFailure.nonRetryable('away');
        return (await source.planExtraction?.(request)) ?? planOf(1);
      },
      copyChunks: async ({ planId, count }) => {
        await Promise.race([new Promise<void>((end) => under.push({ planId, end })), untilCancelled()]);
        return { rows: count, bytes: count };
      },
    };
    await withFakeDatabase(fakes, { tables: ['public.*'], parallelism: 2 }, async (handle) => {
      try {
        await eventually(() => under.length === 2);
        isAway = false;
        await handle.executeUpdate('retryTable', { args: ['large_1'] });
        await eventually(() => under.length === 3);
        under.shift()?.end();
        await sleep(500);
        expect(counts()).toEqual(['public.large_0', 'public.large_1']);
      } finally {
        await handle.cancel();
      }
      await expect(handle.result()).rejects.toThrow(/cancel/i);
    });
  });
});

describe('maxSourceConnections', () => {
  test('bounds the sessions of all tables together, those that hold snapshots among them', async () => {
    const copies = new HeldCopies();
    const sessions = { held: 0, most: 0 };
    const look = () => (sessions.most = Math.max(sessions.most, sessions.held + copies.under.length));
    const source = sourceWith(large(900, 600, 300));
    let plans = 0;
    const fakes: Partial<Activities> = {
      ...source,
      planExtraction: async (request) => {
        if (request.input.table.name === 'large_1') plans += 1;
        return (await source.planExtraction?.(request)) ?? planOf(1);
      },
      holdSnapshot: async ({ holder }) => {
        sessions.held += 1;
        look();
        try {
          await signalSnapshot(holder, '00000001-1');
          await untilCancelled();
        } finally {
          sessions.held -= 1;
        }
      },
      copyChunks: async (span) => {
        if (span.planId === 'public.large_1' && plans === 1)
          throw ApplicationFailure.nonRetryable('rewritten', 'PlanOutdated');
        const copied = copies.copyChunks(span);
        look();
        return copied;
      },
    };
    const request: ExtractDatabaseRequest = {
      tables: ['public.*', { table: 'public.large_2', write: 'replace-partitions' }],
      parallelism: 8,
      maxSourceConnections: 6,
    };
    await withFakeDatabase(fakes, request, async (handle) => {
      // two sessions hold the snapshot of all tables, or will: four are left
      await eventually(() => copies.under.length === 3 && sessions.held >= 2);
      expect(copies.counts()).toEqual({ 'public.large_0': 2, 'public.large_2': 1 });
      await handle.executeUpdate('setParallelism', { args: [2] });
      await handle.executeUpdate('setParallelism', { args: [8] });
      copies.open('public.large_2');
      // the rewritten table waits until there is a session for its own snapshot too
      await eventually(() => (copies.counts()['public.large_1'] ?? 0) > 0);
      copies.open('public.large_0', 'public.large_1');
      expect(await handle.result()).toMatchObject({
        committed: 3,
        warnings: expect.arrayContaining([
          'public.large_1 is of a later moment than the others: it was changed after the snapshot.',
        ]) as string[],
      });
      expect(sessions.most).toBeLessThanOrEqual(6);
    });
  });
});

describe('the snapshot of all tables', () => {
  test(
    'is heard of by the tables when another session lends it, and when it is lost all begin again',
    { tags: 'long' },
    async () => {
      const seen: string[] = [];
      const snapshots = { held: 0, lost: false };
      const fakes: Partial<Activities> = {
        ...sourceWith(large(900)),
        holdSnapshot: async ({ holder }) => {
          snapshots.held += 1;
          const id = `0000000${snapshots.held}-1`;
          await signalSnapshot(holder, id);
          while (!snapshots.lost || snapshots.held > 1)
            await Promise.race([untilCancelled(), new Promise((r) => setTimeout(r, 20))]);
          throw ApplicationFailure.nonRetryable('gone', 'SnapshotLost');
        },
        copyChunks: async ({ snapshot, count, from }) => {
          seen.push(snapshot?.id ?? 'none');
          if (from === 0 && snapshots.held === 1) {
            snapshots.lost = true;
            throw ApplicationFailure.nonRetryable('gone', 'SnapshotLost');
          }
          return { rows: count, bytes: count };
        },
      };
      await withFakeDatabase(fakes, { tables: ['public.*'] }, async (handle) => {
        expect(await handle.result()).toMatchObject({ outcome: 'complete', restarts: 1, committed: 1 });
        expect(seen.at(0)).toBe('00000001-1');
        expect(seen.at(-1)).toBe('00000002-1');
      });
    },
  );

  // which takes the minute for which a table waits to hear of another session
  test(
    'is given up by a table that never comes to read it, for one of its own, and the result says so',
    { tags: 'long' },
    async () => {
      const fakes: Partial<Activities> = {
        ...sourceWith(large(900)),
        holdSnapshot: async ({ holder }) => {
          const isOfTable = Context.current().info.workflowExecution?.workflowId.includes('/') === true;
          await signalSnapshot(holder, isOfTable ? 'its own' : 'shared');
          await untilCancelled();
        },
        copyChunks: async ({ snapshot, count }) => {
          // as behind a load balancer, on another server
          if (snapshot?.id === 'shared') throw ApplicationFailure.nonRetryable('gone', 'SnapshotLost');
          return { rows: count, bytes: count };
        },
      };
      await withFakeDatabase(fakes, { tables: ['public.*'] }, async (handle) => {
        expect(await handle.result()).toMatchObject({
          outcome: 'complete',
          restarts: 0,
          warnings: [
            'public.large_0 is of a later moment than the others: it was changed after the snapshot.',
          ],
        });
      });
    },
  );
});
