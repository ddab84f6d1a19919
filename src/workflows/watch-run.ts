import { isCancellation, log, sleep, workflowInfo } from '@temporalio/workflow';
import type { Observed } from '../contract/activities.ts';
import { watchProgress } from './activities.ts';
import { messageOf } from './failure.ts';

const PAUSE = 5_000;
/** A look costs six events: about an hour of them at this pace, and then fewer. */
const EVENTS_FOR_QUICK_LOOKS = 4_000;
const SLOW_PAUSE = 60_000;
const EVENTS_FOR_SLOW_LOOKS = 8_000;

/** Reads from the ledger, every few seconds, how far a run is. Ends by cancellation, or when its history grows long. */
export async function watchRun(runId: string, tell: (observed: Observed) => void): Promise<void> {
  // most runs are over before the first look
  await sleep(PAUSE);
  for (let pause = 0; workflowInfo().historyLength < EVENTS_FOR_SLOW_LOOKS;) {
    try {
      tell(await watchProgress({ runId, pause }));
    } catch (error) {
      if (isCancellation(error)) throw error;
      log.info('the ledger could not be read', { reason: messageOf(error) });
      await sleep(SLOW_PAUSE);
    }
    pause = workflowInfo().historyLength < EVENTS_FOR_QUICK_LOOKS ? PAUSE : SLOW_PAUSE;
  }
}
