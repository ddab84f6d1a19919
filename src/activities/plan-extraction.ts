import { log } from '@temporalio/activity';
import { openManifest } from '../bronze/manifest.ts';
import { chunkCount } from '../bronze/plan.ts';
import { dropPlansOfRun, storePlan } from '../bronze/plans.ts';
import { readMembers } from '../bronze/database-runs.ts';
import type { PlanExtractionRequest, PlanSummary } from '../contract/activities.ts';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import { formatTableName } from '../contract/table-name.ts';
import { analyzeSource } from '../extraction/analyze-source.ts';
import { planInSnapshot } from '../extraction/plan-in-snapshot.ts';
import { planRun, readingLimits } from '../extraction/plan-run.ts';
import { summarize } from '../extraction/plan-summary.ts';
import { applicationName } from '../postgres/session-settings.ts';
import type { Dependencies } from './dependencies.ts';
import { requireNoOtherRun } from './other-runs.ts';
import { runActivity } from './run-activity.ts';

export async function planExtraction(
  { warehouse, ready, sourceNamed, searchAttributesKnown }: Dependencies,
  { input, database, snapshot, ...run }: PlanExtractionRequest,
): Promise<PlanSummary> {
  return runActivity(`planning ${formatTableName(input.table)}`, async ({ signal }) => {
    const source = sourceNamed(input.source);
    await ready();
    const limits = { applicationName: applicationName(run.runId), signal };
    const reading = { ...limits, ...readingLimits(input) };
    if (input.analyze === true) {
      await source.transaction({ ...reading, mode: 'READ WRITE' }, async (session) =>
        analyzeSource(session, input.table),
      );
    }
    return warehouse.transaction({ ...limits, mode: 'READ WRITE' }, async (target) => {
      await dropPlansOfRun(target, run.runId);
      const [member] =
        database === undefined ? [] : await readMembers(target, database.runId, [database.member]);
      const plan =
        snapshot === undefined
          ? await planRun(source, target, input, reading)
          : await planInSnapshot({ source, target, input, limits: reading }, snapshot, member?.before);
      await requireNoOtherRun(target, plan.target, run.runId);
      const { planId } = await storePlan(target, run.runId, plan);
      await openManifest(target, { ...run, databaseRunId: database?.runId }, planId, plan);
      log.info('planned', {
        table: formatTableName(input.table),
        planId,
        chunks: chunkCount(plan),
        format: plan.format,
      });
      return {
        ...summarize(planId, plan),
        ...pacing(input),
        searchAttributes: await searchAttributesKnown(),
      };
    });
  });
}

const pacing = ({ maxBytesPerSecond }: ExtractTableInput): Pick<PlanSummary, 'maxBytesPerSecond'> =>
  maxBytesPerSecond === undefined ? {} : { maxBytesPerSecond };
