import type { Attempt } from '../../contract/attempt.ts';
import { DatakitError } from '../../contract/failures.ts';
import { applicationName } from '../../postgres/application-name.ts';
import { endHolders, endSessions } from '../../postgres/end-sessions.ts';
import { quoteText } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE } from '../layout.ts';
import { HAS_STAGING, stagingLost } from './plans.ts';

/** A span of chunks that one activity copies, and the attempt that does so. */
export interface Claim {
  readonly planId: string;
  /** The first chunk of the span, which identifies it. */
  readonly firstChunk: number;
  readonly attempt: Attempt;
}

/** Advisory lock key of transactions that claim a span or write its chunks, so that a later attempt finds them. */
const lockOf = (plan: string, chunk: string): string =>
  `hashtextextended('datakit-postgres ' || ${plan} || '/' || ${chunk}, 0)`;
const LOCK = lockOf('$1', '$2');

/**
 * Claims a span for an attempt, and ends the sessions of earlier attempts at it.
 *
 * An earlier one may hang on another worker in the middle of a transaction: nobody else would end it, and this
 * attempt would wait for its ledger row.
 *
 * @throws {DatakitError} SerializationFailure if a later attempt has the span, or nobody needs it any more
 */
export async function claimSpan(session: Session, { planId, firstChunk, attempt }: Claim): Promise<void> {
  if (attempt.number > 1) await endEarlierWriters(session, planId, firstChunk);
  // lock the plan, or it could be dropped and leave the claim behind
  const claimed = await session.query(
    `INSERT INTO ${BRONZE}.extraction_attempts AS a (plan_id, first_chunk, scheduled_at, attempt)
     SELECT p.plan_id, $2::int, $3::bigint, $4::int
       FROM ${BRONZE}.extraction_plans p CROSS JOIN (SELECT pg_advisory_xact_lock_shared(${LOCK})) AS found_by_later
      WHERE p.plan_id = $1::bigint FOR KEY SHARE OF p
         ON CONFLICT (plan_id, first_chunk) DO UPDATE
        SET scheduled_at = excluded.scheduled_at, attempt = excluded.attempt
      WHERE (a.scheduled_at, a.attempt) <= (excluded.scheduled_at, excluded.attempt)
     RETURNING attempt`,
    [planId, firstChunk, attempt.attemptedAt, attempt.number],
  );
  if (claimed.length === 0) throw overtaken(firstChunk);
}

/**
 * Returns whether the next chunk may be copied. Until the transaction ends, a later attempt can find this session.
 *
 * @throws {DatakitError} SerializationFailure if a later attempt has the span; StagingLost if there is nothing to copy to
 */
export async function mayCopy(session: Session, claim: Claim): Promise<'yes' | 'paused'> {
  const { planId, firstChunk, attempt } = claim;
  const [row] = await session.query<{ paused: boolean; latest: boolean | null }>(
    `SELECT p.paused, (a.scheduled_at, a.attempt) = ($3, $4) AS latest, pg_advisory_xact_lock_shared(${LOCK})
       FROM ${BRONZE}.extraction_plans p LEFT JOIN ${BRONZE}.extraction_attempts a
         ON a.plan_id = p.plan_id AND a.first_chunk = $2::int
      WHERE p.plan_id = $1::bigint AND ${HAS_STAGING}`,
    [planId, firstChunk, attempt.attemptedAt, attempt.number],
  );
  if (row === undefined) throw stagingLost(planId);
  if (row.latest === false) throw overtaken(firstChunk);
  return row.paused ? 'paused' : 'yes';
}

const overtaken = (chunk: number): DatakitError =>
  new DatakitError('SerializationFailure', `A later attempt has taken over the chunks from ${chunk} on`);

async function endEarlierWriters(session: Session, planId: string, firstChunk: number): Promise<void> {
  const lock = lockOf(quoteText(planId), quoteText(String(firstChunk)));
  await endHolders(session, lock);
}

/**
 * Ends the sessions of a capture before it streams. They may be those of other activities, on hung workers, and hold
 * locks that the stream would wait for.
 */
export async function endSessionsOfRun(session: Session, runId: string): Promise<void> {
  await endSessions(
    session,
    `a.datname = current_database() AND a.state <> 'idle' AND a.application_name = ${quoteText(applicationName(runId))}`,
  );
}
