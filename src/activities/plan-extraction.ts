import { log } from '@temporalio/activity';
import { openManifest } from '../bronze/manifest.ts';
import { chunkCount } from '../bronze/plan.ts';
import { dropPlansOfRun, storePlan } from '../bronze/plans.ts';
import type { PlanExtractionRequest, PlanSummary } from '../contract/activities.ts';
import { formatTableName } from '../contract/table-name.ts';
import { planRun } from '../extraction/plan-run.ts';
import { summarize } from '../extraction/plan-summary.ts';
import { applicationName } from '../postgres/session-settings.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

export async function planExtraction(
  { warehouse, ready, sourceNamed }: Dependencies,
  { input, ...run }: PlanExtractionRequest,
): Promise<PlanSummary> {
  return runActivity(`planning ${formatTableName(input.table)}`, async ({ signal }) => {
    const source = sourceNamed(input.source);
    await ready();
    const limits = { applicationName: applicationName(run.runId), signal };
    return warehouse.transaction({ ...limits, mode: 'READ WRITE' }, async (target) => {
      await dropPlansOfRun(target, run.runId);
      const plan = await planRun(source, target, input, limits);
      const planId = await storePlan(target, run.runId, plan);
      await openManifest(target, run, planId, plan);
      log.info('planned', {
        table: formatTableName(input.table),
        planId,
        chunks: chunkCount(plan),
        format: plan.format,
      });
      return summarize(planId, plan);
    });
  });
}
