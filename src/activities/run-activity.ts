import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import type { Attempt } from '../contract/attempt.ts';
import { DatakitError, isFinal, withAdvice, type FailureKind } from '../contract/failures.ts';
import { countFailure } from './metrics.ts';
import { sqlStateOf } from '../postgres/server-failure.ts';

/** How often an activity says that it lives; also how soon it hears that it was cancelled. */
const HEARTBEAT_INTERVAL = 1_000;

export interface ActivityTools {
  /** Aborts when the activity is cancelled, times out or its worker shuts down. */
  readonly signal: AbortSignal;
  readonly attempt: Attempt;
  /** What the next heartbeat says, for those who look at the pending activity. */
  readonly report: (details: unknown) => void;
}

interface ActivityOptions {
  /** Whether its run has written to the warehouse before, so that a warehouse that takes no writes now did then. */
  readonly underWay?: boolean;
  /** Done when the work has failed or was given up. */
  readonly afterwards?: () => Promise<void>;
}

/**
 * Runs the work of an activity with a heartbeat beside it, and turns what it throws into a
 * failure that says what, where and what to do, and that is retried as its kind says.
 *
 * @param purpose what is being done, for the message: `copying chunk 3`
 */
export async function runActivity<T>(
  purpose: string,
  work: (tools: ActivityTools) => Promise<T>,
  { underWay = false, afterwards }: ActivityOptions = {},
): Promise<T> {
  const context = Context.current();
  let details: unknown;
  const ticker = setInterval(() => context.heartbeat(details), HEARTBEAT_INTERVAL);
  try {
    return await work({
      signal: context.cancellationSignal,
      attempt: { scheduledAt: context.info.scheduledTimestampMs, number: context.info.attempt },
      report: (latest) => (details = latest),
    });
  } catch (error) {
    // best effort: what it cannot do is done by the next run
    await afterwards?.().catch(() => undefined);
    throw asFailure(error, purpose, context.info.attempt, underWay);
  } finally {
    clearInterval(ticker);
  }
}

/** The cause stays behind: what a server says in full may hold values of rows. */
function asFailure(error: unknown, purpose: string, attempt: number, underWay: boolean): Error {
  if (error instanceof CancelledFailure || error instanceof ApplicationFailure) return error;
  const kind: FailureKind = error instanceof DatakitError ? error.kind : 'Unexpected';
  const message = error instanceof Error ? error.message : String(error);
  const sqlState = sqlStateOf(error);
  const final = isFinal(kind, attempt, underWay);
  countFailure(kind, final);
  return ApplicationFailure.create({
    type: kind,
    message: withAdvice(kind, `While ${purpose}: ${message}`),
    nonRetryable: final,
    details: sqlState === undefined ? [] : [{ sqlState }],
  });
}
