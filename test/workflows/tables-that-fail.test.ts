import { ApplicationFailure } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import type { Activities } from '../../src/contract/activities.ts';
import type { ExtractDatabaseRequest } from '../../src/contract/extract-database.ts';
import { formatTableName } from '../../src/contract/table-name.ts';
import { planOf, untilCancelled, withFakeDatabase } from '../setup/fake-run.ts';
import { withResolvers } from '../setup/with-resolvers.ts';
import { testVariants } from '../setup/variants.ts';
import { eventually, HeldCopies, large, small, sourceWith } from './many-tables.ts';

/** Two tables, of which the second fails. */
const failing: Partial<Activities> = {
  ...sourceWith(large(900, 600)),
  copyChunks: async ({ planId, count }) => {
    if (planId === 'public.large_0') return { rows: count, bytes: count };
    throw ApplicationFailure.nonRetryable('no room', 'InvalidValue');
  },
};

describe('a table that fails', () => {
  const fakes = (discarded: string[] = []): Partial<Activities> => ({
    ...failing,
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
