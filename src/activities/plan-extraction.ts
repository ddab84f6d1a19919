import { log } from '@temporalio/activity';
import { openManifest } from '../bronze/manifest.ts';
import { chunkCount, type ExtractionPlan } from '../bronze/plan.ts';
import { dropPlansOfRun, storePlan } from '../bronze/plans.ts';
import type { PlanExtractionRequest, PlanSummary, RunIdentity } from '../contract/activities.ts';
import type { PlanCopyRequest } from '../contract/capture-activities.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { planCopy as planCopyOf } from '../capture/copy-tables.ts';
import { planTable } from '../extraction/plan-table.ts';
import { settleLimit } from '../extraction/settle-limit.ts';
import type { Database } from '../postgres/database.ts';
import { applicationName } from '../postgres/session-settings.ts';
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
    return storePlanOf(warehouse, source, { run, table: input.table, signal }, async (session, target) =>
      planTable(session, target, input, source),
    );
  });
}

/** The same for the copy of a table whose changes are captured. */
export async function planCopy(
  { warehouse, ready, sourceNamed }: Dependencies,
  request: PlanCopyRequest,
): Promise<PlanSummary> {
  const { table, source: name, runId, workflowId } = request;
  return runActivity(`planning the copy of ${formatTableName(table)}`, async ({ signal }) => {
    const source = sourceNamed(name);
    await ready();
    const run = { runId, workflowId };
    return storePlanOf(warehouse, source, { run, table, signal }, async (session, target) =>
      planCopyOf(session, target, request, source),
    );
  });
}

async function storePlanOf(
  warehouse: Database,
  source: Database,
  {
    run,
    table,
    signal,
  }: { readonly run: RunIdentity; readonly table: TableName; readonly signal: AbortSignal },
  make: (session: Session, target: Session) => Promise<ExtractionPlan>,
): Promise<PlanSummary> {
  const limits = { applicationName: applicationName(run.runId), signal };
  return warehouse.transaction({ ...limits, mode: 'READ WRITE' }, async (target) => {
    await dropPlansOfRun(target, run.runId);
    const plan = await planOn(source, { ...limits, lockTimeout: LOCK_TIMEOUT }, async (session) =>
      make(session, target),
    );
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
}

/** The plan is made in one transaction; that writers end is seen from others. */
async function planOn(
  source: Database,
  limits: { readonly applicationName: string; readonly lockTimeout: number; readonly signal: AbortSignal },
  work: (session: Session) => Promise<ExtractionPlan>,
): Promise<ExtractionPlan> {
  const ask = async <T>(asked: (session: Session) => Promise<T>) =>
    source.transaction({ ...limits, mode: 'ISOLATION LEVEL REPEATABLE READ READ ONLY' }, asked);
  return settleLimit(await ask(work), ask);
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
