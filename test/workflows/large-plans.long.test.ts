// @module-tag long
import { Client, Connection } from '@temporalio/client';
import { expect, inject, test } from 'vitest';
import { withFakes } from '../setup/fake-run.ts';
import { Copies, historyFacts, LARGEST_PAYLOAD, largePlan, MOST_EVENTS, stretchOf } from './large-plan.ts';

test('1,000,000 chunks of 10,000 partitions stay within the limits of histories and payloads', async () => {
  const { plan, summary } = await largePlan({
    partitions: 10_000,
    blocksEach: 100,
    parallelism: 64,
    chunkSize: 8192,
  });
  const copies = new Copies(plan);
  const fakes = { planExtraction: async () => summary, copyChunks: copies.copyChunks };
  await withFakes(fakes, { table: 'orders', parallelism: 64 }, async (handle) => {
    expect(await handle.result()).toMatchObject({ partitions: 10_000, chunks: 1_000_000 });
    expect(copies.wrong()).toBe(0);
    const parent = await historyFacts(handle);
    expect(parent.children).toHaveLength(200);
    const connection = await Connection.connect({ address: inject('temporalAddress') });
    const client = new Client({ connection });
    const facts = [parent];
    for (const id of parent.children) facts.push(await historyFacts(client.workflow.getHandle(id)));
    await connection.close();
    const events = Math.max(...facts.map((one) => one.events));
    const payload = Math.max(...facts.map((one) => one.payload));
    process.stdout.write(
      `1,000,000 chunks: ${copies.activities} activities, ${parent.children.length} children, at most ${events} events a history, ${payload} bytes a payload\n`,
    );
    expect(events).toBeLessThan(MOST_EVENTS);
    expect(payload).toBeLessThan(LARGEST_PAYLOAD);
  });
}, 1_800_000);

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
    expect(children.map(stretchOf)).toEqual([
      'orders_early, chunks 1 to 4000 of 5000',
      `orders_early, chunks 4001 to 5000 of 5000 to ${second}`,
      third,
    ]);
    expect(first).toBeDefined();
    expect(events).toBeLessThan(MOST_EVENTS / 10);
    expect(payload).toBeLessThan(LARGEST_PAYLOAD);
  });
});
