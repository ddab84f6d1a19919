import { expect, test } from 'vitest';
import { FaultStack } from './fault-stack.ts';
import { makeTable, outcomeOf, restartAll } from './rolling-restart.ts';

test('two workers are replaced one after the other in the middle of a run: no chunk is lost, and no attempt fails', async () => {
  await using stack = await FaultStack.open({ workers: 2 });
  await makeTable(stack, 150_000);
  // slow enough to last for the two of them
  const handle = await stack.lab.start({
    table: 'large',
    chunkSize: '256kB',
    maxBytesPerSecond: '700kB',
    parallelism: 2,
  });
  await restartAll(stack, 3);
  const { failedAttempts, chunksOfLaterAttempts, restarts } = await outcomeOf(stack, handle);
  expect({ failedAttempts, chunksOfLaterAttempts, restarts }).toEqual({
    failedAttempts: 0,
    chunksOfLaterAttempts: 0,
    restarts: 0,
  });
  expect(await stack.lab.leftoversAtLast()).toEqual([]);
});
