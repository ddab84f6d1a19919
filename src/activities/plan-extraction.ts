import { log } from '@temporalio/activity';
import { openManifest } from '../bronze/manifest.ts';
import { chunkCount, type ExtractionPlan } from '../bronze/plan.ts';
import { dropPlansOfRun, storePlan } from '../bronze/plans.ts';
import { planCopy as planCopyOf } from '../capture/copy-tables.ts';
import type { PlanExtractionRequest, PlanSummary, RunIdentity } from '../contract/activities.ts';
import type { PlanCopyRequest } from '../contract/capture-activities.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { labelsOf } from '../extraction/partition-labels.ts';
import { planRun } from '../extraction/plan-run.ts';
import type { Session } from '../postgres/session.ts';
import { applicationName } from '../postgres/session-settings.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

/** What a plan is made within: the session of the warehouse that it is stored in, and limits for those of the source. */
type Make = (
  target: Session,
  limits: { readonly applicationName: string; readonly signal: AbortSignal },
) => Promise<ExtractionPlan>;

export async function planExtraction(
  dependencies: Dependencies,
  { input, ...run }: PlanExtractionRequest,
): Promise<PlanSummary> {
  const source = dependencies.sourceNamed;
  return planAs(dependencies, run, input.table, async (target, limits) =>
    planRun(source(input.source), target, input, limits),
  );
}

/** The same for the copy of a table whose changes are captured. */
export async function planCopy(dependencies: Dependencies, request: PlanCopyRequest): Promise<PlanSummary> {
  const { table, source, runId, workflowId } = request;
  return planAs(dependencies, { runId, workflowId }, table, async (target, limits) =>
    planCopyOf(dependencies.sourceNamed(source), target, request, limits),
  );
}

async function planAs(
  { warehouse, ready }: Dependencies,
  run: RunIdentity,
  table: TableName,
  make: Make,
): Promise<PlanSummary> {
  return runActivity(`planning ${formatTableName(table)}`, async ({ signal }) => {
    await ready();
    const limits = { applicationName: applicationName(run.runId), signal };
    return warehouse.transaction({ ...limits, mode: 'READ WRITE' }, async (target) => {
      await dropPlansOfRun(target, run.runId);
      const plan = await make(target, limits);
      const planId = await storePlan(target, run.runId, plan);
      await openManifest(target, run, planId, plan);
      log.info('planned', {
        table: formatTableName(table),
        planId,
        chunks: chunkCount(plan),
        format: plan.format,
      });
      return summary(planId, plan);
    });
  });
}

function summary(planId: string, plan: ExtractionPlan): PlanSummary {
  return {
    planId,
    target: `bronze.${plan.target}`,
    chunks: chunkCount(plan),
    partitions: labelsOf(plan),
    partitionCount: plan.partitions.length,
    warnings: plan.warnings,
    ...(plan.skipped !== undefined && { skippedPartitions: plan.skipped }),
    ...(plan.incremental?.checkpoint != null && { checkpoint: plan.incremental.checkpoint }),
  };
}
