import { commitWithin } from '../bronze/commit.ts';
import type { BeforeSnapshot, IncrementBefore } from '../bronze/database-runs.ts';
import { openManifest, type ManifestOf } from '../bronze/manifest.ts';
import type { ExtractionPlan } from '../bronze/plan.ts';
import { storePlan, takeOrder } from '../bronze/plans.ts';
import type { RunOutcome, Snapshot } from '../contract/activities.ts';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import { Catalog } from '../postgres/catalog/catalog.ts';
import type { Session } from '../postgres/session.ts';
import { enterSnapshot } from '../postgres/snapshot.ts';
import { copyAllInto, type CopyContext } from './copy-chunks.ts';
import { planAsOf } from './plan-in-snapshot.ts';
import { planRun, readingLimits } from './plan-run.ts';
import { StallWatch } from './stall-watch.ts';

/** A table that somebody has locked, on either side, is left to a run of its own. */
export const LOCK_TIMEOUT = 2_000;

export interface SmallTable {
  readonly run: ManifestOf & { readonly databaseRunId: string };
  readonly input: ExtractTableInput;
  /** Where all tables of a run are of one moment. */
  readonly snapshot?: Snapshot | undefined;
  /** What was known before that snapshot was taken. */
  readonly before?: BeforeSnapshot | undefined;
  /** Asked in the transaction of the table, before anything else is done in it. */
  readonly mayBegin: (session: Session) => Promise<'yes' | 'paused' | 'skipped'>;
}

/** What became of a table that was begun, or was not to be. */
export type Finished = RunOutcome | { readonly outcome: 'skipped' };

export type SmallTableResult = Finished | { readonly outcome: 'paused' };

/**
 * Extracts a table that is worth neither chunks nor a workflow: the same steps as those of a large one, in
 * one transaction of the source and one of the warehouse. Until the second is committed nothing of it is there.
 */
export async function extractSmallTable(
  table: SmallTable,
  context: Omit<CopyContext, 'onCopied' | 'isStopping'>,
): Promise<SmallTableResult> {
  const { input, run } = table;
  const watch = new StallWatch(input.stallTimeout);
  const signal = AbortSignal.any([context.signal, watch.signal]);
  const source = context.sourceNamed(input.source);
  const limits = { run: run.databaseRunId, signal, lockTimeout: LOCK_TIMEOUT };
  const reading = { ...readingLimits(input), ...limits };
  try {
    return await context.warehouse.write(limits, async (target) => {
      const outcome = await table.mayBegin(target);
      if (outcome === 'paused') return { outcome };
      if (outcome === 'skipped') return { outcome };
      const before = table.before ?? (await knownNow(table, { ...context, signal }, target));
      return source.read(reading, async (session) => {
        const moment = await enterSnapshot(session, table.snapshot);
        if (input.requireAllRows) await session.query('SET LOCAL row_security = off');
        const plan = await planAsOf(new Catalog(session, source.host), target, { input, before });
        const stored = await storePlan(target, run.runId, plan);
        await openManifest(target, run, stored.planId, plan);
        await copyAllInto(target, { session, label: source.label, moment }, stored, {
          ...context,
          onProgress: (progress) => {
            watch.passed();
            context.onProgress(progress);
          },
        });
        return commitWithin(target, stored);
      });
    });
  } finally {
    watch.close();
  }
}

/** Before the transaction that reads begins: what is seen ending now is then in its snapshot. */
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

/** What a plan that is made before a snapshot says to one that is made after it. */
export function incrementOf({ incremental }: ExtractionPlan): IncrementBefore | undefined {
  return incremental === undefined ? undefined : { limit: incremental.limit, base: incremental.base };
}
