import { expect, test } from 'vitest';
import { FaultStack } from './fault-stack.ts';
import { makeTable, outcomeOf, requestFor, restartAll } from './rolling-restart.ts';

/** The documentation describes `FAULT_ROWS=5000000`. */
const rows = Number(process.env['FAULT_ROWS'] ?? 150_000);

test('two workers are replaced one after the other in the middle of a run: no chunk is lost, and no attempt fails', async () => {
  await using stack = await FaultStack.open({ workers: 2 });
  await makeTable(stack, rows);
  const handle = await stack.lab.start(requestFor(rows));
  const restarted = await restartAll(stack, 3);
  const { took, chunks, ...outcome } = await outcomeOf(stack, handle);
  process.stdout.write(
    `${rows} rows, ${chunks} chunks, ${(took / 1000).toFixed(1)} s; workers asked to stop when ${restarted.join(' and ')} were done\n`,
  );
  expect(outcome).toEqual({ failedAttempts: 0, chunksOfLaterAttempts: 0, restarts: 0 });
  // all restarts, including the last, were in the middle of the run
  expect(restarted.at(-1)).toBeLessThan(chunks);
  expect(restarted.at(-1)).toBeGreaterThan(restarted[0] ?? 0);
  expect(await stack.lab.leftoversAtLast()).toEqual([]);
});
