import { LONGEST_QUEUE } from '../../bronze/readers.ts';
import { commitWithin } from '../../bronze/commit/commit.ts';
import type { BeforeSnapshot, IncrementBefore } from '../../bronze/bookkeeping/database-runs.ts';
import { openManifest, type ManifestOf } from '../../bronze/bookkeeping/manifest.ts';
import type { ExtractionPlan, PlannedPartition } from '../../bronze/plan.ts';
import { storePlan, takeOrder, type StoredPlan } from '../../bronze/bookkeeping/plans.ts';
import type { RunOutcome } from '../../contract/run-outcome.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { Catalog } from '../../postgres/catalog/catalog.ts';
import type { Session } from '../../postgres/session.ts';
import { enterSnapshot } from '../../postgres/snapshot.ts';
import { copyAllInto } from '../copy/copy-into.ts';
import type { ChunkProgress, CopyContext } from '../copy/copy-context.ts';
import { copyAsPlanned } from '../plan/plan-checks.ts';
import { planAsOf } from '../plan/plan-in-snapshot.ts';
import { planRun, readingLimits } from '../plan/plan-run.ts';
import { StallWatch } from '../copy/stall-watch.ts';

export interface SmallTable {
  readonly run: ManifestOf & { readonly databaseRunId: string };
  readonly input: ExtractTableInput;
  /** Set when all tables of a run share one snapshot. */
  readonly snapshot?: Snapshot | undefined;
  /** State recorded before that snapshot was taken. */
  readonly before?: BeforeSnapshot | undefined;
  /** Called in the transaction of the table, before anything else is done in it. */
  readonly mayBegin: (session: Session) => Promise<'yes' | 'paused' | 'skipped'>;
}

/** The outcome of a table that was extracted or skipped. */
export type Finished = RunOutcome | { readonly outcome: 'skipped' };

export type SmallTableResult = Finished | { readonly outcome: 'paused' };

/**
 * Extracts a table that is worth neither chunks nor a workflow, by the same steps as a large one but in one
 * transaction of the source and one of the warehouse. Nothing of it exists until the latter commits.
 */
export async function extractSmallTable(
  table: SmallTable,
  context: Omit<CopyContext, 'onCopied' | 'isStopping'>,
): Promise<SmallTableResult> {
  const { input, run } = table;
  const watch = new StallWatch(input.stallTimeout);
  const signal = AbortSignal.any([context.signal, watch.signal]);
  const onProgress = (progress: ChunkProgress) => {
    watch.passed();
    context.onProgress(progress);
  };
  try {
    const limits = { ...limitsOf(run, signal), attempt: context.attempt };
    return await context.warehouse.write(limits, async (target) => {
      const outcome = await table.mayBegin(target);
      if (outcome === 'paused') return { outcome };
      if (outcome === 'skipped') return { outcome };
      return commitWithin(target, await planAndCopy(table, target, { ...context, signal, onProgress }));
    });
  } finally {
    watch.close();
  }
}

const limitsOf = ({ databaseRunId }: SmallTable['run'], signal: AbortSignal) => ({
  run: databaseRunId,
  signal,
  // a table that stays locked for longer, on either side, is left to a run of its own
  lockTimeout: LONGEST_QUEUE,
});

async function planAndCopy(
  table: SmallTable,
  target: Session,
  context: Omit<CopyContext, 'onCopied' | 'isStopping'>,
): Promise<StoredPlan> {
  const { input, run, snapshot } = table;
  const source = context.sourceNamed(input.source);
  const limits = limitsOf(run, context.signal);
  const before = table.before ?? (await knownNow(table, context, target));
  let partitions: readonly PlannedPartition[] = [];
  const inOneMoment = async (session: Session): Promise<StoredPlan> => {
    const moment = await enterSnapshot(session, snapshot);
    if (input.requireAllRows) await session.query('SET LOCAL row_security = off');
    const plan = await planAsOf(new Catalog(session, source.host), target, { input, before });
    ({ partitions } = plan);
    const stored = await storePlan(target, run.runId, plan);
    await openManifest(target, run, stored.planId, plan);
    await copyAllInto(target, { session, label: source.label, moment }, stored, context);
    return stored;
  };
  return copyAsPlanned(
    async (work) => source.read(limits, work),
    () => partitions,
    async () => source.read({ ...readingLimits(input), ...limits }, inOneMoment),
  );
}

/** Must run before the reading transaction begins, whose snapshot then includes whatever is seen to end here. */
async function knownNow(
  { input, run }: SmallTable,
  { sourceNamed, signal }: Pick<CopyContext, 'sourceNamed' | 'signal'>,
  target: Session,
): Promise<BeforeSnapshot> {
  const order = await takeOrder(target);
  if (input.incremental === undefined) return { order };
  const limits = { ...readingLimits(input), run: run.databaseRunId, signal };
  const increment = incrementOf(await planRun(sourceNamed(input.source), target, input, limits));
  return { order, ...(increment !== undefined && { increment }) };
}

/** Returns what a plan made before a snapshot passes on to the plan made after it. */
export function incrementOf({ incremental }: ExtractionPlan): IncrementBefore | undefined {
  if (incremental === undefined) return undefined;
  const { limit, base, baseRun } = incremental;
  return { limit, base, ...(baseRun !== undefined && { baseRun }) };
}
