import { expect, test } from 'vitest';
import { median } from '../../bench/statistics.ts';
import type { ExtractHandle } from '../setup/lab.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { FaultStack } from './fault-stack.ts';
import { busiestSeat, chunksDone, holdersOf, makeTable, outcomeOf, requestFor } from './rolling-restart.ts';
import type { Seat } from './seat.ts';

/** The documentation describes `FAULT_ROWS=5000000`. */
const rows = Number(process.env['FAULT_ROWS'] ?? 150_000);
const ROUNDS = 3;

test('the loss of one of two workers: what it costs, beside runs that nobody disturbs', async () => {
  await using stack = await FaultStack.open({ workers: 2 });
  await makeTable(stack, rows);
  const run = async (meanwhile: (handle: ExtractHandle) => Promise<void>) => {
    const handle = await stack.lab.start(requestFor(rows));
    await meanwhile(handle);
    const outcome = await outcomeOf(stack, handle);
    expect(outcome.restarts).toBe(0);
    return outcome;
  };
  const pairs: { readonly undisturbed: number; readonly lost: number }[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const undisturbed = await run(async () => undefined);
    let seat: Seat | undefined;
    const lost = await run(async (handle) => {
      // by then each worker holds the snapshot, whichever was first
      await waitUntil(async () => (await holdersOf(handle)).length > 1, 60_000);
      expect(new Set(await holdersOf(handle)).size).toBe(2);
      await waitUntil(async () => (await chunksDone(stack)) > undisturbed.chunks / 2, 60_000);
      seat = await busiestSeat(stack, handle);
      seat?.signal('SIGKILL');
    });
    expect(lost.failedAttempts).toBeGreaterThan(0);
    await seat?.replace('SIGKILL', stack.version);
    pairs.push({ undisturbed: undisturbed.took, lost: lost.took });
    process.stdout.write(
      `${rows} rows: ${seconds(undisturbed.took)} undisturbed, ${seconds(lost.took)} with the loss of a worker; ${lost.failedAttempts} attempts failed\n`,
    );
  }
  const undisturbed = median(pairs.map((pair) => pair.undisturbed));
  const lost = median(pairs.map((pair) => pair.lost));
  process.stdout.write(
    `medians: ${seconds(undisturbed)} and ${seconds(lost)}: ${((lost - HEARTBEAT_TIMEOUT) / undisturbed).toFixed(2)} times, and the heartbeat timeout\n`,
  );
});

/** In milliseconds, as in `src/workflows/activities.ts`. */
const HEARTBEAT_TIMEOUT = 10_000;

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;
