import { CancellationScope, condition, isCancellation, log, sleep, workflowInfo } from '@temporalio/workflow';
import { isObserved, type Observed, type WatchRequest } from '../contract/observed.ts';
import { watchProgress } from './activities.ts';
import { messageOf } from './failure.ts';
import { hear } from './hear.ts';
import { progressObservedSignal } from './messages.ts';

/** Milliseconds between looks; with the time that a look takes itself, there is one every five seconds. */
const PACE = 4_000;
const SLOW_PACE = 60_000;
/** A report costs four events: beyond so many events of any kind reports become fewer, and then stop. */
const EVENTS_FOR_QUICK_LOOKS = 5_000;
const EVENTS_FOR_SLOW_LOOKS = 8_000;
/** Pause after a failure, when trying again at once is no use. */
const PAUSE = 60_000;

/** Has a run's progress reported from the ledger every few seconds, until cancelled or its history grows long. */
export async function watchRun(
  request: Omit<WatchRequest, 'pace'>,
  tell: (observed: Observed) => void,
): Promise<void> {
  const description = 'Internal, from the activity watchProgress. Use the query progress.';
  hear(progressObservedSignal, isObserved, tell, description);
  // most runs are over before the first look
  await sleep(PACE);
  await watchUntil(EVENTS_FOR_QUICK_LOOKS, { ...request, pace: PACE });
  await watchUntil(EVENTS_FOR_SLOW_LOOKS, { ...request, pace: SLOW_PACE });
}

async function watchUntil(events: number, request: WatchRequest): Promise<void> {
  const isLong = () => workflowInfo().historyLength >= events;
  while (!isLong()) {
    const scope = new CancellationScope();
    try {
      await Promise.race([scope.run(async () => watchProgress(request)), condition(isLong)]);
      return;
    } catch (error) {
      if (isCancellation(error)) throw error;
      log.info('the ledger could not be read', { reason: messageOf(error) });
      await sleep(PAUSE);
    } finally {
      scope.cancel();
    }
  }
}
