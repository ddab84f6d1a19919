import { ApplicationFailure, asyncLocalStorage, CancelledFailure, Context, log } from '@temporalio/activity';
import type { Attempt } from '../contract/attempt.ts';
import { DatakitError, isFinal, withAdvice } from '../contract/failures.ts';
import { countFailure } from './metrics.ts';
import { sqlStateOf } from '../postgres/server-failure.ts';

/** Milliseconds between heartbeats; also how soon an activity learns that it was cancelled. */
const HEARTBEAT_INTERVAL = 1_000;

export interface ActivityTools {
  /** Aborts when the activity is cancelled, times out or its worker shuts down. */
  readonly signal: AbortSignal;
  readonly attempt: Attempt;
  /** Sets what is being done, for the message of a failure, once more is known of it than at the start. */
  readonly doing: (purpose: string) => void;
  /** Sets the details of the next heartbeat, for anyone looking at the pending activity. */
  readonly report: (details: unknown) => void;
}

/** What activities wait for at present. */
const waits = new WeakMap<Context, string>();

/** Tells people what the current activity waits for: in its heartbeats, and in the log. Undefined once it no longer does. */
export function tellWait(waiting: string | undefined): void {
  const context = asyncLocalStorage.getStore();
  if (context === undefined) return;
  if (waiting === undefined) {
    waits.delete(context);
    return;
  }
  waits.set(context, waiting);
  log.warn('the activity waits', { waitingFor: waiting });
}

interface ActivityOptions {
  /** Set when the run has written to the warehouse before, so that a read-only warehouse is worth a retry. */
  readonly underWay?: boolean;
  /** Called when the work has failed or was given up. */
  readonly afterwards?: () => Promise<void>;
}

/**
 * Runs the work of an activity with heartbeats, and turns what it throws into a failure that says what happened,
 * where and what to do, and that is retried according to its kind.
 *
 * @param purpose what is being done, for the message: `copying chunk 3`
 */
export async function runActivity<T>(
  purpose: string,
  work: (tools: ActivityTools) => Promise<T>,
  { underWay = false, afterwards }: ActivityOptions = {},
): Promise<T> {
  const context = Context.current();
  const { info } = context;
  let details: unknown;
  let latestPurpose = purpose;
  const beat = () => {
    const waitingFor = waits.get(context);
    context.heartbeat(waitingFor === undefined ? details : { waitingFor });
  };
  const ticker = setInterval(beat, HEARTBEAT_INTERVAL);
  try {
    return await work({
      signal: context.cancellationSignal,
      attempt: {
        activityId: info.activityId,
        scheduledAt: info.scheduledTimestampMs,
        attemptedAt: info.currentAttemptScheduledTimestampMs,
        number: info.attempt,
      },
      doing: (latest) => (latestPurpose = latest),
      report: (latest) => (details = latest),
    });
  } catch (error) {
    // best effort: the next run does what this one could not
    await afterwards?.().catch(() => undefined);
    throw asFailure(error, latestPurpose, info.attempt, underWay);
  } finally {
    clearInterval(ticker);
  }
}

const UNEXPECTED: Pick<DatakitError, 'kind' | 'advice'> = { kind: 'Unexpected', advice: undefined };

/** Leaves out the cause: a server's full message may contain values of rows. */
function asFailure(error: unknown, purpose: string, attempt: number, underWay: boolean): Error {
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  // from what Node.js aborts, such as a timer; the cause is what the signal was aborted with
  if (error instanceof Error && error.name === 'AbortError' && error.cause instanceof CancelledFailure)
    return error.cause;
  const { kind, advice } = error instanceof DatakitError ? error : UNEXPECTED;
  const message = error instanceof Error ? error.message : String(error);
  const sqlState = sqlStateOf(error);
  const final = isFinal(kind, attempt, underWay);
  countFailure(kind, final);
  return ApplicationFailure.create({
    type: kind,
    message: withAdvice(kind, `While ${purpose}: ${message}`, advice),
    nonRetryable: final,
    details: sqlState === undefined ? [] : [{ sqlState }],
  });
}
