import { expect, test } from 'vitest';
import { withFakes } from '../setup/fake-run.ts';
import { Copies, historyFacts, largePlan } from './large-plan.ts';

/** Below what the server allows (51,200 events, 2 MB), by far. */
const MOST_EVENTS = 10_000;
const LARGEST_PAYLOAD = 256 * 1024;

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

test('a large plan goes to children that are named by their partitions, or by the part of one that they copy', async () => {
  const { plan, summary } = await largePlan({
    partitions: 3,
    blocksEach: 3_000,
    parallelism: 64,
    chunkSize: 8192,
  });
  const [first, second, third] = plan.partitions.map(({ name }) => name);
  const labels = [
    { name: 'orders_early', chunks: 5_000 },
    ...summary.partitions.map(({ name }) => ({ name, chunks: 1_500 })),
  ];
  const copies = new Copies({
    ...plan,
    partitions: labels.map(({ chunks }) => ({ chunks })),
  } as unknown as typeof plan);
  const fakes = {
    planExtraction: async () => ({ ...summary, chunks: 9_500, partitions: labels }),
    copyChunks: copies.copyChunks,
  };
  await withFakes(fakes, { table: 'orders', parallelism: 64 }, async (handle) => {
    await handle.result();
    expect(copies.wrong()).toBe(0);
    expect(await handle.query('progress')).toMatchObject({ chunksDone: 9_500, rows: 9_500 });
    const { events, payload, children } = await historyFacts(handle);
    expect(children.map((id) => id.replace(/^.*?\/1\//, ''))).toEqual([
      'orders_early, chunks 1 to 4000 of 5000',
      `orders_early, chunks 4001 to 5000 of 5000 to ${second}`,
      third,
    ]);
    expect(first).toBeDefined();
    expect(events).toBeLessThan(MOST_EVENTS / 10);
    expect(payload).toBeLessThan(LARGEST_PAYLOAD);
  });
});
