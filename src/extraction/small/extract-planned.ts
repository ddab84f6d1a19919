import { commitWithin } from '../../bronze/commit/commit.ts';
import { chunkCount, type ExtractionPlan } from '../../bronze/plan.ts';
import type { StoredPlan } from '../../bronze/bookkeeping/plans.ts';
import type { RunOutcome } from '../../contract/run-outcome.ts';
import { DatakitError } from '../../contract/failures.ts';
import { formatDuration } from '../../contract/quantities.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { Session } from '../../postgres/session.ts';
import { copyAllInto } from '../copy/copy-into.ts';
import type { CopyContext } from '../copy/copy-context.ts';
import { readMoment } from '../copy/read-moment.ts';
import { LONGEST_QUEUE } from '../../bronze/readers.ts';
import { copyAsPlanned, requireSamePartitions } from '../plan/plan-checks.ts';
import { LARGEST_SMALL_TABLE } from '../plan/resolve-tables.ts';
import { copiedPartitions } from '../copy/run-observer.ts';

/** Milliseconds. A longer read deserves activities of its own, which can be watched and steered. */
const LONGEST_READ = 2_000;

/**
 * Returns whether a plan is too small for activities of its own: Temporal takes longer to dispatch one than the copy
 * and commit take. Conditions and views are excluded, since there is no telling how long they take to compute.
 */
export function isSmall(plan: ExtractionPlan): boolean {
  const { where, largeObjects, partitions, size } = plan;
  if (chunkCount(plan) > 1 || where !== null || largeObjects !== undefined) return false;
  return size <= LARGEST_SMALL_TABLE && partitions.every(({ fileNode }) => fileNode !== 0);
}

/**
 * Copies and commits a plan in the warehouse transaction that stored it, by the steps that other plans take in
 * separate transactions. Nothing of the run exists until that transaction commits.
 *
 * @param snapshot the snapshot to read; if absent, the copy reads its own moment
 * @throws {DatakitError} on any failure, including a copy that takes too long; the transaction is then lost
 */
export async function extractPlanned(
  target: Session,
  stored: StoredPlan,
  snapshot: Snapshot | undefined,
  context: Omit<CopyContext, 'onCopied' | 'isStopping'>,
): Promise<RunOutcome> {
  const { plan, runId: run } = stored;
  await target.query(`SET LOCAL lock_timeout = ${LONGEST_QUEUE}`);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(tooLong()), LONGEST_READ);
  try {
    const signal = AbortSignal.any([context.signal, late.signal]);
    const source = context.sourceNamed(plan.source);
    await copyAsPlanned(
      async (work) => source.read({ run, signal }, work),
      () => plan.partitions,
      async () =>
        readMoment(stored, snapshot, { ...context, signal }, async (reading) => {
          await requireSamePartitions(reading.session, plan);
          await copyAllInto(target, reading, stored, context);
        }),
    );
  } finally {
    clearTimeout(timer);
  }
  // before the commit, which may drop the ledger
  const partitions = await copiedPartitions(target, stored);
  return { ...(await commitWithin(target, stored)), ...(partitions !== undefined && { partitions }) };
}

const tooLong = (): DatakitError =>
  new DatakitError('StatementTimeout', `The table was not read within ${formatDuration(LONGEST_READ)}`);
