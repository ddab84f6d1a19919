import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/activity';
import { describe, expect, test } from 'vitest';
import type { Span } from '../../src/contract/chunks.ts';
import { planOf, untilCancelled, withFakes } from '../setup/fake-run.ts';

/** Copies that the test ends. */
class HeldCopies {
  readonly spans: Span[] = [];
  under = 0;
  most = 0;
  #release: (() => void)[] = [];
  #open = false;

  readonly copyChunks = async ({ from, count }: Span) => {
    this.spans.push({ from, count });
    this.under += 1;
    this.most = Math.max(this.most, this.under);
    if (!this.#open) await new Promise<void>((resolve) => this.#release.push(resolve));
    this.under -= 1;
    return { rows: count, bytes: count };
  };

  releaseAll(): void {
    this.#open = true;
    for (const release of this.#release) release();
  }

  chunks(): number[] {
    return this.spans.flatMap(({ from, count }) => Array.from({ length: count }, (_, i) => from + i));
  }
}

const eventually = async (what: () => boolean): Promise<void> => {
  await expect.poll(what, { timeout: 60_000 }).toBe(true);
};

describe('the fan-out', () => {
  test('copies every chunk once, and no more at once than parallelism says', async () => {
    const copies = new HeldCopies();
    const fakes = { planExtraction: async () => planOf(100), copyChunks: copies.copyChunks };
    await withFakes(fakes, { table: 'orders', parallelism: 3 }, async (handle) => {
      await eventually(() => copies.under === 3);
      copies.releaseAll();
      const result = await handle.result();
      expect(result.chunks).toBe(100);
      expect(copies.chunks().toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => i));
      expect(copies.most).toBe(3);
      expect(copies.spans.at(-1)?.count).toBe(1);
    });
  });

  test('grows while it runs when setParallelism says so, and tells the old width', async () => {
    const copies = new HeldCopies();
    const fakes = { planExtraction: async () => planOf(100), copyChunks: copies.copyChunks };
    await withFakes(fakes, { table: 'orders', parallelism: 2 }, async (handle) => {
      await eventually(() => copies.under === 2);
      expect(await handle.executeUpdate('setParallelism', { args: [5] })).toBe(2);
      await eventually(() => copies.under === 5);
      expect(await handle.query('progress')).toMatchObject({ phase: 'copying', parallelism: 5, chunks: 100 });
      copies.releaseAll();
      await handle.result();
    });
  });

  test('ends what it copies when it is paused, and commits only once it is resumed', async () => {
    const copies = new HeldCopies();
    const calls: string[] = [];
    const fakes = {
      planExtraction: async () => planOf(1),
      copyChunks: copies.copyChunks,
      pauseCopies: async ({ paused }: { paused: boolean }) => void calls.push(paused ? 'pause' : 'resume'),
      commitBronze: async () => {
        calls.push('commit');
        return { outcome: 'committed', rows: 1, bytes: 1 } as const;
      },
    };
    await withFakes(fakes, { table: 'orders' }, async (handle) => {
      await eventually(() => copies.under === 1);
      await handle.signal('pause');
      await eventually(() => calls.length === 1);
      copies.releaseAll();
      await sleep(500);
      expect(calls).toEqual(['pause']);
      await handle.signal('resume');
      expect(await handle.result()).toMatchObject({ rows: 1 });
      expect(calls).toContain('commit');
    });
  });

  test('gives up the other copies when one fails for good, commits nothing and drops what was staged', async () => {
    const calls: string[] = [];
    const fakes = {
      planExtraction: async () => planOf(10),
      copyChunks: async ({ from }: Span) => {
        if (from === 0) throw ApplicationFailure.nonRetryable('no room', 'DiskFull');
        return untilCancelled().catch((error: unknown) => {
          calls.push('cancelled');
          throw error;
        });
      },
      commitBronze: async () => {
        calls.push('commit');
        return { outcome: 'committed', rows: 0, bytes: 0 } as const;
      },
      discardStaging: async ({ outcome }: { outcome: { status: string; message: string } }) => {
        calls.push(`discard ${outcome.status}: ${outcome.message}`);
      },
    };
    await withFakes(fakes, { table: 'orders', parallelism: 2, consistency: 'none' }, async (handle) => {
      await expect(handle.result()).rejects.toMatchObject({
        cause: { type: 'DiskFull', message: 'no room' },
      });
      expect(calls).toEqual(['cancelled', 'discard failed: no room']);
    });
  });

  test('is cancelled with the run, which then drops what was staged', async () => {
    const copies = new HeldCopies();
    const discarded: string[] = [];
    const fakes = {
      planExtraction: async () => planOf(10),
      copyChunks: async (span: Span) => Promise.race([copies.copyChunks(span), untilCancelled()]),
      discardStaging: async ({ outcome }: { outcome: { status: string } }) =>
        void discarded.push(outcome.status),
    };
    await withFakes(fakes, { table: 'orders' }, async (handle) => {
      await eventually(() => copies.under === 4);
      await handle.cancel();
      await expect(handle.result()).rejects.toThrow(/cancel/i);
      expect((await handle.describe()).status.name).toBe('CANCELLED');
      expect(discarded).toEqual(['cancelled']);
      copies.releaseAll();
    });
  });

  test('is cancelled with the run, too, where a copy fails before it hears of that', async () => {
    const copies = new HeldCopies();
    const discarded: string[] = [];
    const fakes = {
      planExtraction: async () => planOf(1),
      copyChunks: async (span: Span) => {
        await copies.copyChunks(span);
        throw ApplicationFailure.retryable('no session', 'PoolExhausted');
      },
      discardStaging: async ({ outcome }: { outcome: { status: string; message: string } }) =>
        void discarded.push(`${outcome.status}: ${outcome.message}`),
    };
    await withFakes(fakes, { table: 'orders' }, async (handle) => {
      await eventually(() => copies.under === 1);
      await handle.cancel();
      const isAsked = async () => {
        const { events } = await handle.fetchHistory();
        return events?.some((event) => event.activityTaskCancelRequestedEventAttributes);
      };
      await expect.poll(isAsked, { timeout: 60_000 }).toBe(true);
      copies.releaseAll();
      await expect(handle.result()).rejects.toThrow(/cancel/i);
      expect((await handle.describe()).status.name).toBe('CANCELLED');
      expect(discarded).toEqual(['cancelled: no session']);
    });
  });
});
