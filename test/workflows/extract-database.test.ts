import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import type { Activities } from '../../src/contract/activities.ts';
import type { Span } from '../../src/contract/chunks.ts';
import type { Member } from '../../src/contract/database-activities.ts';
import type { ExtractDatabaseRequest } from '../../src/contract/extract-database.ts';
import { formatTableName } from '../../src/contract/table-name.ts';
import { planOf, signalSnapshot, untilCancelled, withFakeDatabase } from '../setup/fake-run.ts';
import { withResolvers } from '../setup/with-resolvers.ts';
import { testVariants } from '../setup/variants.ts';
import { expectWithinLimits, small, sourceWith } from './many-tables.ts';

const MB = 1024 * 1024;

const large = (...sizes: number[]): Member[] =>
  sizes.map((size, index) => ({
    table: `public.large_${index}`,
    bytes: size * MB,
    large: true,
  }));

const eventually = async (what: () => boolean | Promise<boolean>): Promise<void> => {
  await expect.poll(what, { timeout: 60_000 }).toBe(true);
};

/** Copies that the test ends, and those in progress. */
class HeldCopies {
  readonly under: string[] = [];
  most = 0;
  #open = new Set<string>();

  readonly copyChunks = async ({ planId, count }: Span & { planId: string }) => {
    this.under.push(planId);
    this.most = Math.max(this.most, this.under.length);
    while (!this.#open.has(planId)) await new Promise((resolve) => setTimeout(resolve, 10));
    this.under.splice(this.under.indexOf(planId), 1);
    return { rows: count, bytes: count };
  };

  open(...planIds: string[]): void {
    for (const planId of planIds) this.#open.add(planId);
  }

  /** Returns the number of copies in progress for each table. */
  counts(): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const planId of this.under) counts[planId] = (counts[planId] ?? 0) + 1;
    return counts;
  }
}

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

describe('a table that fails', () => {
  const fakes = (discarded: string[] = []): Partial<Activities> => ({
    ...sourceWith(large(900, 600)),
    copyChunks: async ({ planId, count }) => {
      if (planId === 'public.large_0') return { rows: count, bytes: count };
      throw ApplicationFailure.nonRetryable('no room', 'InvalidValue');
    },
    commitBronze: async () => ({ outcome: 'committed', rows: 20, bytes: 20 }),
    discardStaging: async ({ outcome: { status }, member }) =>
      void discarded.push(`${status}: ${member?.input.table.name}`),
  });

  testVariants(['committed', 'superseded'] as const)(
    'is told in the result, while the others go on (%s)',
    async (outcome) => {
      const discarded: string[] = [];
      const recorded: Partial<Activities> = {
        ...fakes(discarded),
        commitBronze: async () => ({ outcome, rows: 20, bytes: 20 }),
      };
      await withFakeDatabase(recorded, { tables: ['public.*'] }, async (handle) => {
        expect(await handle.result()).toMatchObject({
          outcome: 'partial',
          [outcome]: 1,
          failed: 1,
          results: [
            { table: 'public.large_1', outcome: 'failed', message: 'no room' },
            { table: 'public.large_0', outcome, rows: 20 },
          ],
        });
        // so that the manifest has it, also without a plan
        expect(discarded).toEqual(['failed: large_1']);
      });
    },
  );

  test('fails the run at its end where the input says so, with what failed in each', async () => {
    const input: ExtractDatabaseRequest = { tables: ['public.*'], onTableFailure: 'fail-at-end' };
    const closed: unknown[] = [];
    const recorded: Partial<Activities> = {
      ...fakes(),
      closeDatabaseRun: async ({ status, committed, failed }) =>
        void closed.push({ status, committed, failed }),
    };
    await withFakeDatabase(recorded, input, async (handle) => {
      await expect(handle.result()).rejects.toMatchObject({
        cause: { type: 'TablesFailed', message: '1 of 2 tables failed. public.large_1: no room' },
      });
      expect(closed).toEqual([{ status: 'failed', committed: 1, failed: 1 }]);
    });
  });

  test('ends the run where the input says so, with its own failure', { tags: 'long' }, async () => {
    const discarded: string[] = [];
    const stuck: Partial<Activities> = {
      ...fakes(discarded),
      commitBronze: async () => untilCancelled(),
    };
    await withFakeDatabase(stuck, { tables: ['public.*'], onTableFailure: 'stop' }, async (handle) => {
      await expect(handle.result()).rejects.toMatchObject({
        cause: { type: 'InvalidValue', message: 'no room' },
      });
      expect(discarded.toSorted()).toEqual(['cancelled: large_0', 'failed: large_1']);
    });
  });

  test('is tried again by retryTable, by a workflow of its own', async () => {
    let broken = true;
    const copies = new HeldCopies();
    const fakesOfTwo: Partial<Activities> = {
      ...sourceWith([...large(900), ...small(1)]),
      copyChunks: copies.copyChunks,
      copyTables: async ({ members }) => ({
        tables: members.map((member) => ({ member, outcome: 'failed', rows: 0, bytes: 0, message: 'away' })),
      }),
      planExtraction: async ({ input }) => {
        if (broken && input.table.name !== 'large_0') throw ApplicationFailure.nonRetryable('away');
        return { ...planOf(20, formatTableName(input.table)), partitions: [] };
      },
    };
    await withFakeDatabase(fakesOfTwo, { tables: ['public.*'] }, async (handle) => {
      const name = small(1)[0]?.table ?? '';
      await eventually(async () => (await handle.query<{ failed: number }>('progress')).failed === 1);
      broken = false;
      expect(await handle.executeUpdate('retryTable', { args: [name] })).toContain('waits');
      await eventually(() => copies.counts()[name] !== undefined);
      copies.open(name, 'public.large_0');
      expect(await handle.result()).toMatchObject({ outcome: 'complete', committed: 2 });
    });
  });
});

describe('skipTable', () => {
  test('leaves out a table that waits, ends one that is copied, and refuses what makes no sense', async () => {
    const copies = new HeldCopies();
    const fakes: Partial<Activities> = {
      ...sourceWith(large(900, 600, 300)),
      copyChunks: async (span) => Promise.race([copies.copyChunks(span), untilCancelled()]),
    };
    const update = { tables: ['public.*'], parallelism: 2 };
    await withFakeDatabase(fakes, update, async (handle) => {
      await eventually(() => copies.under.length === 2);
      const skip = async (name: string) =>
        handle.executeUpdate<string, [string]>('skipTable', { args: [name] });
      expect(await skip('large_2')).toBe('public.large_2 is skipped');
      expect(await skip('public.large_0')).toBe('public.large_0 is skipped');
      await expect(skip('large_2')).rejects.toMatchObject({
        cause: {
          message: expect.stringContaining('only what is waiting or running can be skipped') as string,
        },
      });
      await expect(skip('public.lrage_1')).rejects.toMatchObject({
        cause: {
          message: expect.stringContaining(
            'public.lrage_1 is not a table of this run (did you mean "public.large_1"?)',
          ) as string,
        },
      });
      await expect(handle.executeUpdate('retryTable', { args: ['large_1'] })).rejects.toMatchObject({
        cause: { message: expect.stringContaining('only what is failed or skipped') as string },
      });
      await expect(handle.executeUpdate('setParallelism', { args: [0] })).rejects.toThrow(/./);
      copies.open('public.large_0', 'public.large_1');
      expect(await handle.result()).toMatchObject({ outcome: 'partial', committed: 1, skipped: 2 });
    });
  });

  test('leaves out a table that its pack has tried in vain and left to a workflow of its own', async () => {
    const [trying, tried] = [withResolvers(), withResolvers()];
    const copyTables: Activities['copyTables'] = async ({ members }) => {
      trying.resolve();
      await tried.promise;
      return { tables: members.map((member) => ({ member, outcome: 'alone', rows: 0, bytes: 0 })) };
    };
    const fakes: Partial<Activities> = { ...sourceWith(small(2)), copyTables };
    await withFakeDatabase(fakes, { tables: ['public.*'] }, async (handle) => {
      await trying.promise;
      const [{ table } = { table: '' }] = small(2);
      expect(await handle.executeUpdate('skipTable', { args: [table] })).toContain('is skipped, unless');
      tried.resolve();
      expect(await handle.result()).toMatchObject({ committed: 1, skipped: 1 });
    });
  });
});

describe('a run that is about to end', () => {
  const refusal = { cause: { message: expect.stringContaining('is about to end') as string } };
  const refuses = async (handle: WorkflowHandle) => {
    for (const [update, wanted] of [
      ['retryTable', 'large_1'],
      ['skipTable', 'large_0'],
      ['setParallelism', 2],
    ] as const)
      await expect(handle.executeUpdate(update, { args: [wanted] })).rejects.toMatchObject(refusal);
  };
  const failing: Partial<Activities> = {
    ...sourceWith(large(900, 600)),
    copyChunks: async ({ planId, count }) => {
      if (planId === 'public.large_0') return { rows: count, bytes: count };
      throw ApplicationFailure.nonRetryable('no room', 'InvalidValue');
    },
  };

  test('because all tables have ended takes no more updates', async () => {
    const [closing, closed] = [withResolvers(), withResolvers()];
    const closeDatabaseRun = async () => {
      closing.resolve();
      await closed.promise;
    };
    await withFakeDatabase({ ...failing, closeDatabaseRun }, { tables: ['public.*'] }, async (handle) => {
      await closing.promise;
      await refuses(handle);
      closed.resolve();
      expect(await handle.result()).toMatchObject({ outcome: 'partial', committed: 1, failed: 1 });
    });
  });

  testVariants(['a table has failed', 'somebody has cancelled it'])('because %s neither', async (why) => {
    const [copying, cancelled, gone] = [withResolvers(), withResolvers(), withResolvers()];
    const copyChunks = async () => {
      copying.resolve();
      return untilCancelled();
    };
    const fakes: Partial<Activities> = {
      ...failing,
      ...(why !== 'a table has failed' && { copyChunks }),
      discardStaging: async ({ outcome }) => {
        if (outcome.status !== 'cancelled') return;
        cancelled.resolve();
        await gone.promise;
      },
      commitBronze: async () => untilCancelled(),
    };
    const request: ExtractDatabaseRequest = { tables: ['public.*'], onTableFailure: 'stop' };
    await withFakeDatabase(fakes, request, async (handle) => {
      if (why !== 'a table has failed') {
        await copying.promise;
        await handle.cancel();
      }
      await cancelled.promise;
      await refuses(handle);
      gone.resolve();
      await expect(handle.result()).rejects.toThrow(/./);
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
