import { log } from '@temporalio/activity';
import { endEarlierSessions } from '../bronze/attempts.ts';
import { openManifest, type ManifestOf } from '../bronze/manifest.ts';
import { chunkCount, type ExtractionPlan } from '../bronze/plan.ts';
import { dropPlansOfRun, storePlan } from '../bronze/plans.ts';
import { planCopy as planCopyOf } from '../capture/copy-tables.ts';
import { readMembers } from '../bronze/database-runs.ts';
import type { Attempt } from '../contract/attempt.ts';
import type { PlanExtractionRequest, PlanSummary } from '../contract/activities.ts';
import type { PlanCopyRequest } from '../contract/capture-activities.ts';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import { formatTableName } from '../contract/table-name.ts';
import { analyzeSource } from '../extraction/analyze-source.ts';
import { planInSnapshot } from '../extraction/plan-in-snapshot.ts';
import { LONGEST_LOCK_TIMEOUT, planRun, readingLimits, type PlanLimits } from '../extraction/plan-run.ts';
import { summarize } from '../extraction/plan-summary.ts';
import type { Database } from '../postgres/database.ts';
import type { Session } from '../postgres/session.ts';
import { applicationName } from '../postgres/application-name.ts';
import type { Dependencies } from './dependencies.ts';
import { requireNoOtherRun, workflowNamespace } from './other-runs.ts';
import { runActivity } from './run-activity.ts';

export async function planExtraction(
  { warehouse, ready, sourceNamed, searchAttributesKnown }: Dependencies,
  { input, database, snapshot, ...run }: PlanExtractionRequest,
): Promise<PlanSummary> {
  return runActivity(`planning ${formatTableName(input.table)}`, async ({ signal, attempt }) => {
    const source = sourceNamed(input.source);
    await ready();
    const limits = { applicationName: applicationName(run.runId), signal };
    const reading = { ...limits, ...readingLimits(input) };
    if (input.analyze === true) {
      await source.transaction({ ...reading, mode: 'READ WRITE' }, async (session) =>
        analyzeSource(session, input.table),
      );
    }
    const plan = await storePlanOf(
      warehouse,
      limits,
      { ...run, attempt, databaseRunId: database?.runId },
      async (target) => {
        if (snapshot === undefined) return planRun(source, target, input, reading);
        const [member] =
          database === undefined ? [] : await readMembers(target, database.runId, [database.member]);
        return planInSnapshot({ source, target, input, limits: reading }, snapshot, member?.before);
      },
    );
    return { ...plan, ...pacing(input), searchAttributes: await searchAttributesKnown() };
  });
}

/** The same for the copy of a table whose changes are captured. */
export async function planCopy(
  { warehouse, ready, sourceNamed }: Dependencies,
  request: PlanCopyRequest,
): Promise<PlanSummary> {
  const { table, source, runId, workflowId } = request;
  return runActivity(`planning the copy of ${formatTableName(table)}`, async ({ signal, attempt }) => {
    await ready();
    const limits = { applicationName: applicationName(runId), signal };
    return storePlanOf(warehouse, limits, { runId, workflowId, attempt }, async (target) =>
      planCopyOf(sourceNamed(source), target, request, { ...limits, lockTimeout: LONGEST_LOCK_TIMEOUT }),
    );
  });
}

async function storePlanOf(
  warehouse: Database,
  limits: Pick<PlanLimits, 'applicationName' | 'signal'>,
  run: Omit<ManifestOf, 'namespace'> & { readonly attempt: Attempt },
  make: (target: Session) => Promise<ExtractionPlan>,
): Promise<PlanSummary> {
  return warehouse.transaction({ ...limits, mode: 'READ WRITE' }, async (target) => {
    if (run.attempt.number > 1) await endEarlierSessions(target, limits.applicationName);
    await dropPlansOfRun(target, run.runId);
    const plan = await make(target);
    await requireNoOtherRun(target, plan.target, run.runId);
    const { planId } = await storePlan(target, run.runId, plan);
    await openManifest(target, { ...run, namespace: workflowNamespace() }, planId, plan);
    log.info('planned', {
      table: formatTableName(plan.table),
      planId,
      chunks: chunkCount(plan),
      format: plan.format,
    });
    return summarize(planId, plan);
  });
}

const pacing = ({ maxBytesPerSecond }: ExtractTableInput): Pick<PlanSummary, 'maxBytesPerSecond'> =>
  maxBytesPerSecond === undefined ? {} : { maxBytesPerSecond };
