// @module-tag long
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Span } from '../../src/contract/chunks.ts';
import { lendSlotSnapshot, planOf, prepared, signalSlotLag, withFakeCapture } from '../setup/fake-run.ts';
import { waitUntil } from '../setup/wait-until.ts';

/** So many that a child workflow copies them. */
const CHUNKS = 8_001;
const PARALLELISM = 2;
const TOO_MUCH = 2e9;

test('the copy of an added table, however large, stands still while the slot holds back too much', async () => {
  let slotLag = 0;
  /** What the workflow has been told. */
  let told = -1;
  let begun = 0;
  let copied = 0;
  const activities = {
    prepareCapture: async () => ({
      ...prepared,
      tables: [{ schema: 'public', name: 'orders', copying: true }],
    }),
    holdSlot: lendSlotSnapshot,
    planCopy: async () => planOf(CHUNKS),
    copyChunks: async ({ count }: Span) => {
      begun += 1;
      if (begun === 2 * PARALLELISM) slotLag = TOO_MUCH;
      await waitUntil(async () => told === slotLag);
      copied += count;
      return { rows: count, bytes: count };
    },
    streamChanges: async () => {
      for (;;) {
        const lag = slotLag;
        await signalSlotLag(lag);
        await sleep(500); // in which a child hears of it
        told = lag;
      }
    },
  };
  const request = {
    slot: 'warehouse',
    tables: ['orders'],
    maxSlotLag: '1GB',
    onSlotLag: 'pause' as const,
    parallelism: PARALLELISM,
  };
  await withFakeCapture(activities, request, async (handle) => {
    await waitUntil(async () => told === TOO_MUCH);
    const before = begun;
    await sleep(1_500);
    expect(begun).toBeLessThan(before + PARALLELISM);
    expect(copied).toBeGreaterThan(0);
    slotLag = 0;
    await waitUntil(async () => begun > before + 4 * PARALLELISM);
    await handle.terminate();
  });
});
