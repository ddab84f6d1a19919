import { setTimeout as sleep } from 'node:timers/promises';
import { startStack } from '../local/stack.ts';
import { execute } from './execute.ts';
import { Extractor } from './extractor.ts';
import { allChanges } from './loads.ts';
import { say } from './say.ts';

/** A capture's periodic work happens once per cycle. */
const CYCLE_MINUTES = 30;
/** Time before the cycle, for a capture's initial work. */
const FIRST_MINUTES = 2;

/** Measures how the history of a capture grows while nothing is written. */
export async function benchIdle(): Promise<void> {
  const stack = await startStack({ ui: false });
  try {
    await execute(stack.sourceUrl, 'CREATE TABLE events (id bigint PRIMARY KEY)');
    const extractor = await Extractor.start(stack);
    const handle = await extractor.start('captureChanges', allChanges);
    await sleep(FIRST_MINUTES * 60_000);
    const { historyLength: before } = await handle.describe();
    await sleep(CYCLE_MINUTES * 60_000);
    const { historyLength: after } = await handle.describe();
    say(`idle: ${after - before} events of the history in ${CYCLE_MINUTES} minutes`);
    await handle.cancel();
    await handle.result().catch(() => undefined);
    await extractor.stop();
  } finally {
    await stack.close();
  }
}
