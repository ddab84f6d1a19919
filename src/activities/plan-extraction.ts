import { log } from '@temporalio/activity';
import { openManifest } from '../bronze/manifest.ts';
import { chunkCount, type ExtractionPlan } from '../bronze/plan.ts';
import { dropPlansOfRun, storePlan } from '../bronze/plans.ts';
import { planCopy as planCopyOf } from '../capture/copy-tables.ts';
import type { PlanExtractionRequest, PlanSummary, RunIdentity } from '../contract/activities.ts';
import type { PlanCopyRequest } from '../contract/capture-activities.ts';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import { chosenSettings } from '../contract/session-settings.ts';
import { formatTableName } from '../contract/table-name.ts';
import { analyzeSource } from '../extraction/analyze-source.ts';
import { planRun, type PlanLimits } from '../extraction/plan-run.ts';
import { summarize } from '../extraction/plan-summary.ts';
import type { Database } from '../postgres/database.ts';
import type { Session } from '../postgres/session.ts';
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
    const reading = { ...limits, ...limitsOf(input) };
    if (input.analyze === true) {
      await source.transaction({ ...reading, mode: 'READ WRITE' }, async (session) =>
        analyzeSource(session, input.table),
      );
    }
    const plan = await storePlanOf(warehouse, limits, run, async (target) =>
      planRun(source, target, input, reading),
    );
    return { ...plan, ...pacing(input) };
  });
}

/** The same for the copy of a table whose changes are captured. */
export async function planCopy(
  { warehouse, ready, sourceNamed }: Dependencies,
  request: PlanCopyRequest,
): Promise<PlanSummary> {
  const { table, source, runId, workflowId } = request;
  return runActivity(`planning the copy of ${formatTableName(table)}`, async ({ signal }) => {
    await ready();
    const limits = { applicationName: applicationName(runId), signal };
    return storePlanOf(warehouse, limits, { runId, workflowId }, async (target) =>
      planCopyOf(sourceNamed(source), target, request, { ...limits, lockTimeout: LONGEST_LOCK_TIMEOUT }),
    );
  });
}

async function storePlanOf(
  warehouse: Database,
  limits: Pick<PlanLimits, 'applicationName' | 'signal'>,
  run: RunIdentity,
  make: (target: Session) => Promise<ExtractionPlan>,
): Promise<PlanSummary> {
  return warehouse.transaction({ ...limits, mode: 'READ WRITE' }, async (target) => {
    await dropPlansOfRun(target, run.runId);
    const plan = await make(target);
    const planId = await storePlan(target, run.runId, plan);
    await openManifest(target, run, planId, plan);
    log.info('planned', {
      table: formatTableName(plan.table),
      planId,
      chunks: chunkCount(plan),
      format: plan.format,
    });
    return summarize(planId, plan);
  });
}

/** A table that somebody has locked is asked for again later: to plan holds nobody up for longer. */
const LONGEST_LOCK_TIMEOUT = 10_000;

/** Of the sessions that read; a setting that the source does not take is refused here, before anything is copied. */
function limitsOf(input: ExtractTableInput): Pick<PlanLimits, 'lockTimeout'> {
  const { statementTimeout, lockTimeout, idleTimeout } = input;
  const settings = chosenSettings(input.tuning, input.session);
  return {
    lockTimeout: Math.min(lockTimeout, LONGEST_LOCK_TIMEOUT),
    ...(statementTimeout !== undefined && { statementTimeout }),
    ...(idleTimeout !== undefined && { idleTimeout }),
    ...(settings !== undefined && { settings }),
  };
}

const pacing = ({ maxBytesPerSecond }: ExtractTableInput): Pick<PlanSummary, 'maxBytesPerSecond'> =>
  maxBytesPerSecond === undefined ? {} : { maxBytesPerSecond };
