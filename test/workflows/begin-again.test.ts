import { ApplicationFailure, Context } from '@temporalio/activity';
import { describe, expect, test } from 'vitest';
import type { CopyChunksRequest } from '../../src/contract/chunks.ts';
import type { CommitResult } from '../../src/contract/run-outcome.ts';
import type { HoldSnapshotRequest } from '../../src/contract/snapshot.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { planOf, signalSnapshot, untilCancelled, withFakes } from '../setup/fake-run.ts';

/** Fakes of a run of ten chunks, with a new plan and snapshot for every attempt. */
function attempts(options: { loseHolder?: number; loseChunk?: number }) {
  const state = { plans: 0, holders: 0, copied: [] as string[] };
  const activities = {
    planExtraction: async () => planOf(10, String((state.plans += 1))),
    holdSnapshot: async ({ holder }: HoldSnapshotRequest) => {
      const number = (state.holders += 1);
      await signalSnapshot(holder, `snapshot ${number}`);
      if (number === options.loseHolder)
        throw ApplicationFailure.nonRetryable('the session ended', 'SnapshotLost');
      await untilCancelled();
    },
    copyChunks: async ({ planId, from, count, snapshot }: CopyChunksRequest) => {
      if (Number(planId) === options.loseChunk) {
        throw ApplicationFailure.nonRetryable('does not exist', 'SnapshotLost');
      }
      if (Number(planId) === options.loseHolder) await Context.current().sleep(500);
      state.copied.push(`plan ${planId} on ${snapshot?.id}: ${from}+${count}`);
      return { rows: count, bytes: count };
    },
  };
  return { state, activities };
}

describe('a run begins again by itself', () => {
  test('when the holder of its snapshot is lost', async () => {
    const { state, activities } = attempts({ loseHolder: 1 });
    await withFakes(activities, { table: 'orders' }, async (handle) => {
      expect(await handle.result()).toMatchObject({ restarts: 1 });
      expect(state.plans).toBe(2);
      const last = state.copied.filter((line) => line.startsWith('plan 2'));
      expect(last.every((line) => line.includes('on snapshot 2:'))).toBe(true);
      expect((await handle.query<{ chunksDone: number }>('progress')).chunksDone).toBe(10);
    });
  });

  test('when a copy finds its snapshot gone', async () => {
    const { state, activities } = attempts({ loseChunk: 1 });
    await withFakes(activities, { table: 'orders' }, async (handle) => {
      expect(await handle.result()).toMatchObject({ restarts: 1 });
      expect(state.plans).toBe(2);
    });
  });

  test('but not when its holder fails for a reason that stays', async () => {
    const { state, activities } = attempts({});
    const holdSnapshot = async () => {
      throw ApplicationFailure.nonRetryable('password authentication failed', 'AuthenticationFailed');
    };
    await withFakes({ ...activities, holdSnapshot }, { table: 'orders' }, async (handle) => {
      await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'AuthenticationFailed' } });
      expect(state.plans).toBe(1);
    });
  });

  test('when the ledger lacks chunks of a snapshot that is gone', { tags: 'long' }, async () => {
    const { state, activities } = attempts({});
    const results: CommitResult[] = [{ outcome: 'incomplete', missing: [3, 7] }];
    const commitBronze = async (): Promise<CommitResult> =>
      results.shift() ?? { outcome: 'committed', rows: 10, bytes: 10 };
    await withFakes({ ...activities, commitBronze }, { table: 'orders' }, async (handle) => {
      expect(await handle.result()).toMatchObject({ restarts: 1, rows: 10 });
      expect(state.plans).toBe(2);
    });
  });
});

describe('a run does not begin again', () => {
  test('for missing chunks when chunks read moments of their own: they go back to the fan-out', async () => {
    const { state, activities } = attempts({});
    const results: CommitResult[] = [{ outcome: 'incomplete', missing: [3, 7] }];
    const commitBronze = async (): Promise<CommitResult> =>
      results.shift() ?? { outcome: 'committed', rows: 10, bytes: 10 };
    await withFakes(
      { ...activities, commitBronze },
      { table: 'orders', consistency: 'none' },
      async (handle) => {
        expect(await handle.result()).toMatchObject({ restarts: 0 });
        expect(state.copied.slice(-2).toSorted()).toEqual([
          'plan 1 on undefined: 3+1',
          'plan 1 on undefined: 7+1',
        ]);
        expect(state.holders).toBe(0);
      },
    );
  });

  test('and holds no snapshot for a single chunk, which is its own', async () => {
    const { state, activities } = attempts({});
    const planExtraction = async () => planOf(1);
    await withFakes({ ...activities, planExtraction }, { table: 'orders' }, async (handle) => {
      await handle.result();
      expect(state.holders).toBe(0);
    });
  });

  test('after an input that is refused, before any activity', async () => {
    const called: string[] = [];
    const discardStaging = async () => void called.push('discard');
    const planExtraction = async () => (called.push('plan'), planOf(1));
    const request = { table: 'orders', colums: ['id'] } as unknown as { table: string };
    await withFakes({ discardStaging, planExtraction }, request, async (handle) => {
      await expectFailure(handle.result(), 'InvalidInput', 'did you mean "columns"');
      expect(called).toEqual([]);
    });
  });
});
