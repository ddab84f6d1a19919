import { log } from '@temporalio/activity';
import { openManifest } from '../bronze/manifest.ts';
import { chunkCount, type ExtractionPlan } from '../bronze/plan.ts';
import { dropPlansOfRun, storePlan } from '../bronze/plans.ts';
import { readMembers } from '../bronze/database-runs.ts';
import type { DatabaseRun, PlanExtractionRequest, PlanSummary, Snapshot } from '../contract/activities.ts';
import { formatTableName } from '../contract/table-name.ts';
import { planInSnapshot, planSettled, type Planning } from '../extraction/plan-settled.ts';
import { applicationName } from '../postgres/session-settings.ts';
import type { Dependencies } from './dependencies.ts';
import { requireNoOtherRun } from './other-runs.ts';
import { runActivity } from './run-activity.ts';

/** Labels past this number would weigh more in the history than they help. */
const MOST_LABELS = 500;

export async function planExtraction(
  { warehouse, ready, sourceNamed, searchAttributesKnown }: Dependencies,
  { input, database, snapshot, ...run }: PlanExtractionRequest,
): Promise<PlanSummary> {
  return runActivity(`planning ${formatTableName(input.table)}`, async ({ signal }) => {
    const source = sourceNamed(input.source);
    await ready();
    const limits = { applicationName: applicationName(run.runId), signal };
    return warehouse.transaction({ ...limits, mode: 'READ WRITE' }, async (target) => {
      await dropPlansOfRun(target, run.runId);
      const plan = await planned({ source, target, input, limits }, database, snapshot);
      await requireNoOtherRun(target, plan.target, run.runId);
      const { planId } = await storePlan(target, run.runId, plan);
      await openManifest(target, { ...run, databaseRunId: database?.runId }, planId, plan);
      log.info('planned', {
        table: formatTableName(input.table),
        planId,
        chunks: chunkCount(plan),
        format: plan.format,
      });
      return { ...summary(planId, plan), searchAttributes: await searchAttributesKnown() };
    });
  });
}

async function planned(
  planning: Planning,
  database: DatabaseRun | undefined,
  snapshot: Snapshot | undefined,
): Promise<ExtractionPlan> {
  if (snapshot === undefined) return planSettled(planning);
  const [member] =
    database === undefined ? [] : await readMembers(planning.target, database.runId, [database.member]);
  return planInSnapshot(planning, snapshot, member?.before);
}

function summary(planId: string, plan: ExtractionPlan): PlanSummary {
  const labelled = plan.partitions.length <= MOST_LABELS;
  return {
    planId,
    target: `bronze.${plan.target}`,
    chunks: chunkCount(plan),
    partitions: labelled ? plan.partitions.map(({ name, chunks }) => ({ name, chunks })) : [],
    partitionCount: plan.partitions.length,
    warnings: plan.warnings,
    ...(plan.incremental?.checkpoint != null && { checkpoint: plan.incremental.checkpoint }),
  };
}
