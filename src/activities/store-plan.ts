import { log } from '@temporalio/activity';
import { findEnded, openManifest, type ManifestOf } from '../bronze/bookkeeping/manifest.ts';
import { dropPlansOfRun, storePlan, type StoredPlan } from '../bronze/bookkeeping/plans.ts';
import { chunkCount, type ExtractionPlan } from '../bronze/plan.ts';
import type { PlanSummary } from '../contract/plan-summary.ts';
import type { RunOutcome } from '../contract/run-outcome.ts';
import { formatTableName } from '../contract/table-name.ts';
import { summarize, summarizeEnded } from '../extraction/plan/plan-summary.ts';
import { isSmall } from '../extraction/small/extract-planned.ts';
import type { Database } from '../postgres/database.ts';
import type { Session } from '../postgres/session.ts';
import { requireNoOtherRun, workflowNamespace } from './other-runs.ts';

/** Finishes a small plan in the transaction that stores it. */
export type Finish = (target: Session, stored: StoredPlan) => Promise<RunOutcome>;

/** Plans a run and stores its plan with its manifest, in one transaction of the warehouse. */
export async function storePlanOf(
  warehouse: Database,
  signal: AbortSignal,
  run: Omit<ManifestOf, 'namespace'>,
  make: (target: Session) => Promise<ExtractionPlan>,
  finish?: Finish,
): Promise<PlanSummary> {
  return warehouse.write({ run: run.runId, signal, attempt: run.attempt }, async (target) => {
    await dropPlansOfRun(target, run.runId);
    // the result of an earlier attempt may have been lost
    const ended = await findEnded(target, run.runId, run.attempt);
    if (ended !== undefined) return summarizeEnded(ended);
    const plan = await make(target);
    await requireNoOtherRun(target, plan.target, run.runId);
    const stored = await storePlan(target, run.runId, plan);
    const { planId } = stored;
    await openManifest(target, { ...run, namespace: workflowNamespace() }, planId, plan);
    log.info('planned', {
      table: formatTableName(plan.table),
      planId,
      chunks: chunkCount(plan),
      format: plan.format,
    });
    const summary = summarize(stored);
    if (finish === undefined || !isSmall(plan)) return summary;
    return { ...summary, outcome: await finish(target, stored) };
  });
}
