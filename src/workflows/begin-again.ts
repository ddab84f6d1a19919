import { log, sleep, type ApplicationFailure } from '@temporalio/workflow';
import { messageOf, ofKind } from './failure.ts';

/** Each lost snapshot costs the whole copy: a run that loses this many has a cause that will not pass. */
export const MOST_RESTARTS = 10;
const LONGEST_PAUSE = 60_000;

/**
 * Waits before a run restarts, longer each time.
 *
 * @param restarts how often it has restarted already
 * @throws {ApplicationFailure} SnapshotLost if that was too often
 */
export async function pauseToBeginAgain(error: unknown, restarts: number): Promise<void> {
  if (restarts === MOST_RESTARTS) throw gaveUp(error);
  log.warn('the run begins again', { reason: messageOf(error) });
  await sleep(pauseAfter(restarts));
}

/** Milliseconds. */
export const pauseAfter = (restarts: number): number => Math.min(1000 * 2 ** restarts, LONGEST_PAUSE);

function gaveUp(error: unknown): ApplicationFailure {
  return ofKind(
    'SnapshotLost',
    `The run began again ${MOST_RESTARTS} times and was lost each time. ${messageOf(error)}`,
  );
}
