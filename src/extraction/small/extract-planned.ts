import { commitWithin } from '../../bronze/commit/commit.ts';
import { chunkCount, type ExtractionPlan } from '../../bronze/plan.ts';
import type { StoredPlan } from '../../bronze/bookkeeping/plans.ts';
import type { RunOutcome } from '../../contract/activities.ts';
import { DatakitError } from '../../contract/failures.ts';
import { formatDuration } from '../../contract/quantities.ts';
import type { Session } from '../../postgres/session.ts';
import { copyAllInto, readMoment, type CopyContext } from '../copy/copy-chunks.ts';
import { LOCK_TIMEOUT } from './extract-small-table.ts';
import { copyAsPlanned, requireSamePartitions } from '../plan/plan-checks.ts';
import { LARGEST_SMALL_TABLE } from '../plan/resolve-tables.ts';
import { copiedPartitions } from '../copy/run-observer.ts';

/** Milliseconds. What takes longer is worth activities of its own, which can be seen and steered. */
const LONGEST_READ = 2_000;

/**
 * Whether to copy and commit it is worth no activities of its own: to hand out one takes Temporal longer.
 *
 * Who can say how long it takes to compute a condition, or a view?
 */
export function isSmall(plan: ExtractionPlan): boolean {
  const { where, largeObjects, partitions, size } = plan;
  if (chunkCount(plan) > 1 || where !== null || largeObjects !== undefined) return false;
  return size <= LARGEST_SMALL_TABLE && partitions.every(({ fileNode }) => fileNode !== 0);
}

/**
 * Copies and commits a plan in the transaction of the warehouse that made it, by the steps that others take in
 * transactions of their own. Until that is committed nothing of the run is there.
 *
 * @throws {DatakitError} whatever is in the way, that it takes too long among it; then the transaction is lost
 */
export async function extractPlanned(
  target: Session,
  stored: StoredPlan,
  context: Omit<CopyContext, 'onCopied' | 'isStopping'>,
): Promise<RunOutcome> {
  const { plan, runId: run } = stored;
  await target.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT}`);
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(tooLong()), LONGEST_READ);
  try {
    const signal = AbortSignal.any([context.signal, late.signal]);
    const source = context.sourceNamed(plan.source);
    await copyAsPlanned(
      async (work) => source.read({ run, signal }, work),
      () => plan.partitions,
      async () =>
        readMoment(stored, undefined, { ...context, signal }, async (reading) => {
          await requireSamePartitions(reading.session, plan);
          await copyAllInto(target, reading, stored, context);
        }),
    );
  } finally {
    clearTimeout(timer);
  }
  // before the commit forgets the plan
  const partitions = await copiedPartitions(target, stored);
  return { ...(await commitWithin(target, stored)), ...(partitions !== undefined && { partitions }) };
}

const tooLong = (): DatakitError =>
  new DatakitError('StatementTimeout', `The table was not read within ${formatDuration(LONGEST_READ)}`);
