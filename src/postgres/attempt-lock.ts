import type { Attempt } from '../contract/attempt.ts';
import { endHolders } from './end-sessions.ts';
import { quoteText } from './identifiers.ts';
import type { Session } from './session.ts';

/** What a transaction that writes is part of. */
export interface AttemptOfRun {
  readonly run?: string;
  readonly attempt?: Attempt | undefined;
}

/** Source and warehouse may be one database, where each has locks of its own. */
const keyOf = (label: string, { run = '' }: AttemptOfRun, { activityId }: Attempt): string =>
  `hashtextextended(${quoteText(`datakit-postgres ${label} ${run}/${activityId}`)}, 0)`;

/** Returns statements that show to later attempts, until the transaction ends, which activity it is part of. */
export function showAttempt(label: string, of: AttemptOfRun): string[] {
  if (of.attempt === undefined) return [];
  return [`SELECT pg_advisory_xact_lock_shared(${keyOf(label, of, of.attempt)})`];
}

/**
 * Ends sessions of earlier attempts, which may hang on other workers in the middle of a transaction: nobody else would
 * end them, and this attempt, readers and the application would wait for their locks.
 */
export async function endEarlierAttempts(session: Session, label: string, of: AttemptOfRun): Promise<void> {
  if (of.attempt === undefined || of.attempt.number === 1) return;
  await endHolders(session, keyOf(label, of, of.attempt));
}
