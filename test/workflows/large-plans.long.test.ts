import { Client, Connection } from '@temporalio/client';
import { expect, inject, test } from 'vitest';
import { withFakes } from '../setup/fake-run.ts';
import { Copies, historyFacts, largePlan } from './large-plan.ts';

/** Below what the server allows (51,200 events, 2 MB), by far. */
const MOST_EVENTS = 10_000;
const LARGEST_PAYLOAD = 256 * 1024;

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
