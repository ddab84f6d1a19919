import type { Attempt } from '../../contract/attempt.ts';
import type { CommitRequest, CommitResult, RunOutcome } from '../../contract/run-outcome.ts';
import { DatakitError } from '../../contract/failures.ts';
import type { IncrementalOutcome } from '../../contract/incremental.ts';
import type { Database, TransactionOptions } from '../../postgres/database.ts';
import { isLockTimeout } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';
import { supersedeCheckpoints } from '../bookkeeping/checkpoints.ts';
import { commitIncrement, finishIncremental, type PreparedIncrement } from './commit-increment.ts';
import { loadsOf } from '../schema/companion.ts';
import { requireSameDigests } from './digests.ts';
import { exchangeRows } from './exchange.ts';
import { incrementalWarnings } from './incremental-warnings.ts';
import { BRONZE } from '../layout.ts';
import { missingChunks, sumLedger, type LedgerTotals } from '../bookkeeping/ledger.ts';
import { forgetPartitions, isOfSeveralPlans, recordPartitions } from '../bookkeeping/partition-records.ts';
import { closeManifest, findOutcome, type Outcome, type RunStatus } from '../bookkeeping/manifest.ts';
import { chunkCount, readsNothing, rowChunkCount } from '../plan.ts';
import { dropPlan, dropStaging, forgetPlan, readPlan, type StoredPlan } from '../bookkeeping/plans.ts';
import { prepareIncrement } from './prepare-increment.ts';
import { prepareStaging } from './prepare-staging.ts';
import { preparePartitions, replacePartitions } from './replace-partitions.ts';
import { describeReaders, LONGEST_QUEUE, requireNoOldSnapshot } from '../readers.ts';
import {
  findBase,
  forgetEarlierLedger,
  isSameBase,
  isSuperseded,
  lockTarget,
  recordLoads,
  requireTarget,
  type Base,
} from '../bookkeeping/targets.ts';

/**
 * Makes a run visible. Safe to call again after any failure: a committed run returns the same outcome.
 *
 * @throws {DatakitError} LockTimeout, naming the readers in the way; TargetConflict; SchemaConflict; StagingLost;
 *   ChecksumMismatch
 */
export async function commitRun(
  warehouse: Database,
  request: CommitRequest,
  { signal, attempt }: { readonly signal: AbortSignal; readonly attempt: Attempt },
): Promise<CommitResult> {
  const { planId, runId } = request;
  const limits = { run: runId, signal, attempt };
  try {
    return await commitOrDescribe(warehouse, request, limits);
  } catch (error) {
    if (!(error instanceof DatakitError) || error.kind !== 'StagingLost') throw error;
    // an abandoned attempt may have committed after this one looked
    const done = await warehouse.write(limits, async (session) => earlierOutcome(session, runId, planId));
    if (done === undefined) throw error;
    return done;
  }
}

/** @throws {DatakitError} LockTimeout, naming the readers in the way, besides what a commit throws */
async function commitOrDescribe(
  warehouse: Database,
  { planId, runId }: CommitRequest,
  limits: TransactionOptions,
): Promise<CommitResult> {
  const inTransaction = async <T>(work: (session: Session) => Promise<T>) =>
    warehouse.write({ ...limits, lockTimeout: LONGEST_QUEUE }, work);
  try {
    const outcome = await inTransaction(async (session) => {
      return (await earlierOutcome(session, runId, planId)) ?? prepared(session, runId, planId);
    });
    if (outcome !== 'ready') return outcome;
    return await inTransaction(async (session) => commitOnce(session, runId, planId));
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    throw await warehouse.write(limits, async (session) => {
      const { plan, staging } = await readPlan(session, planId, runId);
      return describeReaders(session, { schema: BRONZE, name: plan.target }, staging);
    });
  }
}

/** Makes a run visible in the transaction that planned and loaded it, for tables so small that nobody waits. */
export async function commitWithin(session: Session, stored: StoredPlan): Promise<RunOutcome> {
  if (!readsNothing(stored.plan)) await prepare(session, stored);
  if (stored.plan.incremental === undefined) return commit(session, stored);
  return commit(session, { ...(await readPlan(session, stored.planId, stored.runId)), unseen: true });
}

async function prepared(session: Session, runId: string, planId: string): Promise<CommitResult | 'ready'> {
  const stored = await readPlan(session, planId, runId);
  const missing = await missingChunks(session, planId, chunkCount(stored.plan));
  if (missing.length > 0) return { outcome: 'incomplete', missing };
  if (!stored.prepared && !readsNothing(stored.plan)) await prepare(session, stored);
  return 'ready';
}

async function prepare(session: Session, stored: StoredPlan): Promise<void> {
  await requireSameDigests(session, stored);
  const { incremental, replacement } = stored.plan;
  if (incremental?.extraction === 'incremental') await prepareIncrement(session, stored, incremental);
  else if (replacement?.whole === false) await preparePartitions(session, stored);
  else for (const load of loadsOf(stored)) await prepareStaging(session, load);
}

/** Looks for an earlier outcome under the lock, since an abandoned attempt may commit just before this one. */
async function commitOnce(session: Session, runId: string, planId: string): Promise<CommitResult> {
  const { plan } = await readPlan(session, planId, runId);
  await lockTarget(session, plan.target);
  return (
    (await earlierOutcome(session, runId, planId)) ?? commit(session, await readPlan(session, planId, runId))
  );
}

async function earlierOutcome(
  session: Session,
  runId: string,
  planId: string,
): Promise<CommitResult | undefined> {
  const done = await findOutcome(session, runId, planId);
  return done === undefined ? undefined : outcomeOf(done);
}

async function commit(session: Session, stored: StoredPlan): Promise<RunOutcome> {
  const { planId, runId, plan } = stored;
  const loads = loadsOf(stored);
  for (const load of loads) {
    await lockTarget(session, load.plan.target);
    await requireTarget(session, load.plan.target, load.plan);
  }
  const totals = await sumLedger(session, planId, rowChunkCount(plan));
  const { status, incremental } = await settle(session, stored, totals.rows);
  if (status === 'committed') {
    await forgetEarlierLedger(session, [{ target: plan.target, planId }]);
    await recordLoads(
      session,
      loads.map((load) => ({ ...load.plan, planId, runId })),
    );
    await forgetPlan(session, planId);
  } else {
    await dropPlan(session, stored);
  }
  const warnings = [
    ...warningsOf(totals),
    ...(incremental === null ? [] : incrementalWarnings(incremental, stored.staged)),
  ];
  await closeManifest(session, runId, totals, { status, incremental, warnings });
  return outcomeOf({
    status,
    rows: totals.rows,
    bytes: totals.bytes,
    incremental,
    warnings: [...plan.warnings, ...warnings],
    source: plan.source,
    snapshotAt: totals.snapshotAt,
  });
}

interface Settled {
  readonly status: Extract<RunStatus, 'committed' | 'superseded' | 'unchanged'>;
  readonly incremental: IncrementalOutcome | null;
}

/** Puts the rows of the run into bronze in the way that its plan says. */
async function settle(session: Session, stored: StoredPlan, rows: number): Promise<Settled> {
  const { planId, plan } = stored;
  const { replacement, target } = plan;
  if (readsNothing(plan)) return { status: 'unchanged', incremental: null };
  const increment = preparedIncrement(stored);
  if (increment !== undefined) {
    const incremental = await makeVisible(session, increment, rows);
    await forgetPartitions(session, [target]);
    return { status: 'committed', incremental };
  }
  if (replacement?.whole === false) {
    const newer = await replacePartitions(session, stored);
    await supersedeCheckpoints(session, [target]);
    return { status: newer === plan.partitions.length ? 'superseded' : 'committed', incremental: null };
  }
  if (replacement !== undefined) await requireBase(session, target, replacement);
  if (await isSuperseded(session, target, plan.order ?? planId)) {
    await requireOneMoment(session, target);
    return { status: 'superseded', incremental: null };
  }
  await replace(session, stored);
  await forgetPartitions(session, [target]);
  await recordPartitions(session, stored);
  return { status: 'committed', incremental: null };
}

function preparedIncrement(stored: StoredPlan): PreparedIncrement | undefined {
  const { staged, plan } = stored;
  if (plan.incremental === undefined) return undefined;
  if (staged === undefined) throw new DatakitError('StagingLost', `Plan ${stored.planId} was not prepared`);
  return { ...stored, staged, incremental: plan.incremental };
}

/** @throws {DatakitError} PlanOutdated if bronze has other rows than the plan saw */
async function requireBase(session: Session, target: string, planned: Base): Promise<void> {
  if (isSameBase(planned, await findBase(session, target))) return;
  throw new DatakitError(
    'PlanOutdated',
    `${BRONZE}.${target} was written by another run after this one was planned`,
  );
}

/**
 * Has a run start over that a later one came before only with some partitions: it must not replace those, and the rows
 * of the others may be older than its own.
 *
 * @throws {DatakitError} PlanOutdated
 */
async function requireOneMoment(session: Session, target: string): Promise<void> {
  if (!(await isOfSeveralPlans(session, target))) return;
  throw new DatakitError(
    'PlanOutdated',
    `Partitions of ${BRONZE}.${target} were replaced by a later run, and others may be older than this one`,
  );
}

/**
 * Makes visible an incremental run, which builds on what its plan saw. If another run was committed since, it must
 * start over: its rows may be there already, or what it builds on may be gone.
 */
async function makeVisible(
  session: Session,
  stored: PreparedIncrement,
  rows: number,
): Promise<IncrementalOutcome> {
  const { plan, incremental } = stored;
  await requireBase(session, plan.target, incremental);
  if (incremental.extraction === 'incremental') {
    const outcome = await commitIncrement(session, stored, rows);
    await dropStaging(session, stored);
    return outcome;
  }
  await replace(session, stored);
  return finishIncremental(session, stored, {
    added: rows,
    replaced: 0,
    unchanged: 0,
    deleted: 0,
    changes: [],
  });
}

async function replace(session: Session, stored: StoredPlan): Promise<void> {
  // rows of this transaction are in nobody else's snapshot, however recent
  const ready = stored.unseen === true ? null : stored.planId;
  for (const load of loadsOf(stored)) {
    await requireNoOldSnapshot(session, { schema: BRONZE, name: load.plan.target }, ready);
    await exchangeRows(session, load);
  }
  await supersedeCheckpoints(session, [stored.plan.target]);
}

export function outcomeOf({
  status,
  rows,
  bytes,
  incremental,
  warnings,
  source,
  snapshotAt,
}: Outcome): RunOutcome {
  const outcome = status === 'superseded' || status === 'unchanged' ? status : 'committed';
  return {
    outcome,
    rows,
    bytes,
    warnings,
    source,
    ...(snapshotAt !== null && { snapshotAt }),
    ...(incremental !== null && { incremental }),
  };
}

function warningsOf({ missingObjects }: Pick<LedgerTotals, 'missingObjects'>): string[] {
  if (missingObjects === 0) return [];
  return [`OIDs that name no large object in the source: ${missingObjects}. Their content is NULL.`];
}
