import { log, sleep, type ApplicationFailure } from '@temporalio/workflow';
import { messageOf, ofKind } from './failure.ts';

/** Each loss of a snapshot costs the whole copy, so a run that loses so many has a cause that does not pass. */
export const MOST_RESTARTS = 10;
const LONGEST_PAUSE = 60_000;

/**
 * Waits before a run begins again, longer each time.
 *
 * @param restarts how often it has begun again already
 * @throws {ApplicationFailure} SnapshotLost when that was too often
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
