import { log } from '@temporalio/activity';
import { openManifest } from '../bronze/manifest.ts';
import { chunkCount, type ExtractionPlan } from '../bronze/plan.ts';
import { dropPlansOfRun, storePlan } from '../bronze/plans.ts';
import type { PlanExtractionRequest, PlanSummary } from '../contract/activities.ts';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import { chosenSettings } from '../contract/session-settings.ts';
import { formatTableName } from '../contract/table-name.ts';
import { analyzeSource } from '../extraction/analyze-source.ts';
import { planTable } from '../extraction/plan-table.ts';
import { settleLimit } from '../extraction/settle-limit.ts';
import type { Database } from '../postgres/database.ts';
import { applicationName, type SessionLimits } from '../postgres/session-settings.ts';
import type { Session } from '../postgres/session.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

/** A table that somebody has locked is asked for again later. */
const LOCK_TIMEOUT = 10_000;

/** Labels past this number would weigh more in the history than they help. */
const MOST_LABELS = 500;

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
    return warehouse.transaction({ ...limits, mode: 'READ WRITE' }, async (target) => {
      await dropPlansOfRun(target, run.runId);
      const plan = await planOn(source, reading, async (session) =>
        planTable(session, target, input, source),
      );
      const planId = await storePlan(target, run.runId, plan);
      await openManifest(target, run, planId, plan);
      log.info('planned', {
        table: formatTableName(input.table),
        planId,
        chunks: chunkCount(plan),
        format: plan.format,
      });
      return { ...summary(planId, plan), ...pacing(input) };
    });
  });
}

/** Of the sessions that read; a setting that the source does not take is refused here, before anything is copied. */
function limitsOf(input: ExtractTableInput): Omit<SessionLimits, 'applicationName'> {
  const { statementTimeout, lockTimeout, idleTimeout } = input;
  const settings = chosenSettings(input.tuning, input.session);
  return {
    lockTimeout: lockTimeout ?? LOCK_TIMEOUT,
    ...(statementTimeout !== undefined && { statementTimeout }),
    ...(idleTimeout !== undefined && { idleTimeout }),
    ...(settings !== undefined && { settings }),
  };
}

/** The plan is made in one transaction; that writers end is seen from others. */
async function planOn(
  source: Database,
  limits: SessionLimits & { readonly signal: AbortSignal },
  work: (session: Session) => Promise<ExtractionPlan>,
): Promise<ExtractionPlan> {
  const ask = async <T>(asked: (session: Session) => Promise<T>) =>
    source.transaction({ ...limits, mode: 'ISOLATION LEVEL REPEATABLE READ READ ONLY' }, asked);
  return settleLimit(await ask(work), ask);
}

const pacing = ({ maxBytesPerSecond }: ExtractTableInput): Pick<PlanSummary, 'maxBytesPerSecond'> =>
  maxBytesPerSecond === undefined ? {} : { maxBytesPerSecond };

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
