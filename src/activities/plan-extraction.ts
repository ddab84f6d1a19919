import { log } from '@temporalio/activity';
import { endEarlierSessions } from '../bronze/bookkeeping/attempts.ts';
import { findEnded, openManifest, type ManifestOf } from '../bronze/bookkeeping/manifest.ts';
import { chunkCount, type ExtractionPlan } from '../bronze/plan.ts';
import { dropPlansOfRun, storePlan, type StoredPlan } from '../bronze/bookkeeping/plans.ts';
import { isCopyWanted, planCopy as planCopyOf } from '../capture/copy-tables.ts';
import { readMembers } from '../bronze/bookkeeping/database-runs.ts';
import type { PlanExtractionRequest, PlanSummary } from '../contract/plan-summary.ts';
import type { RunOutcome } from '../contract/run-outcome.ts';
import type { PlanCopyRequest } from '../contract/capture-activities.ts';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import { formatTableName } from '../contract/table-name.ts';
import { DatakitError, affectsEveryTable } from '../contract/failures.ts';
import { analyzeSource } from '../extraction/plan/analyze-source.ts';
import { extractPlanned, isSmall } from '../extraction/small/extract-planned.ts';
import { planInSnapshot } from '../extraction/plan/plan-in-snapshot.ts';
import { LONGEST_LOCK_TIMEOUT, planRun, readingLimits } from '../extraction/plan/plan-run.ts';
import { summarize, summarizeEnded } from '../extraction/plan/plan-summary.ts';
import type { Database } from '../postgres/database.ts';
import type { Session } from '../postgres/session.ts';
import type { Dependencies } from './dependencies.ts';
import { countCopied, countRetry, measureCommit } from './metrics.ts';
import { requireNoOtherRun, workflowNamespace } from './other-runs.ts';
import { runActivity, type ActivityTools } from './run-activity.ts';

export async function planExtraction(
  dependencies: Dependencies,
  request: PlanExtractionRequest,
): Promise<PlanSummary> {
  const { input, runId, database } = request;
  const { ready, sourceNamed, searchAttributesKnown } = dependencies;
  return runActivity(
    `planning ${formatTableName(input.table)}`,
    async (tools) => {
      await ready();
      if (input.analyze === true) {
        const limits = {
          run: runId,
          signal: tools.signal,
          ...readingLimits(input),
        };
        await sourceNamed(input.source).write(limits, async (session) => analyzeSource(session, input.table));
      }
      const plan = await finishedOrPlanned(dependencies, request, tools);
      return { ...plan, ...pacing(input), searchAttributes: await searchAttributesKnown() };
    },
    { underWay: database !== undefined },
  );
}

/** Plans a table, and finishes a small one. If that fails, separate activities wait, retry and report the cause. */
async function finishedOrPlanned(
  dependencies: Dependencies,
  request: PlanExtractionRequest,
  tools: ActivityTools,
): Promise<PlanSummary> {
  if (request.mayFinish !== true || dependencies.isStopping()) return planned(dependencies, request, tools);
  let begun = false;
  try {
    const finish: Finish = async (target, stored) => {
      begun = true;
      return extractPlanned(target, stored, { ...dependencies, ...tools, onProgress: tools.report });
    };
    const { outcome, ...plan } = await planned(dependencies, request, tools, finish);
    if (outcome === undefined) return plan;
    countCopied(request.input.source, outcome, plan.chunks);
    measureCommit(outcome);
    const { rows, bytes } = outcome;
    log.info('extracted', { planId: plan.planId, rows, bytes, outcome: outcome.outcome });
    return { ...plan, outcome };
  } catch (error) {
    tools.signal.throwIfAborted();
    if (!begun || !(error instanceof DatakitError) || affectsEveryTable(error.kind)) throw error;
    countRetry(error.kind);
    log.info('left to activities of their own', { reason: error.message });
    return planned(dependencies, request, tools);
  }
}

async function planned(
  { warehouse, sourceNamed }: Dependencies,
  { input, database, snapshot, runId, workflowId }: PlanExtractionRequest,
  { signal, attempt }: ActivityTools,
  finish?: Finish,
): Promise<PlanSummary> {
  const reading = { run: runId, signal, ...readingLimits(input) };
  const source = sourceNamed(input.source);
  const run = { runId, workflowId, attempt, databaseRunId: database?.runId };
  const make = async (target: Session) => {
    if (snapshot === undefined) return planRun(source, target, input, reading);
    const [member] =
      database === undefined ? [] : await readMembers(target, database.runId, [database.member]);
    return planInSnapshot({ source, target, input, limits: reading }, snapshot, member?.before);
  };
  return storePlanOf(warehouse, signal, run, make, finish);
}

/** Plans the copy of a captured table; returns null if none is wanted. */
export async function planCopy(
  { warehouse, ready, sourceNamed }: Dependencies,
  request: PlanCopyRequest,
): Promise<PlanSummary | null> {
  const { table, source, runId, workflowId } = request;
  return runActivity(
    `planning the copy of ${formatTableName(table)}`,
    async ({ signal, attempt }) => {
      await ready();
      const wanted = await warehouse.write({ run: runId, signal }, async (session) =>
        isCopyWanted(session, request),
      );
      if (!wanted) return null;
      const limits = { run: runId, signal, lockTimeout: LONGEST_LOCK_TIMEOUT };
      return storePlanOf(warehouse, signal, { runId, workflowId, attempt }, async (target) =>
        planCopyOf(sourceNamed(source), target, request, limits),
      );
    },
    { underWay: true },
  );
}

/** Finishes a small plan in the transaction that stores it. */
type Finish = (target: Session, stored: StoredPlan) => Promise<RunOutcome>;

async function storePlanOf(
  warehouse: Database,
  signal: AbortSignal,
  run: Omit<ManifestOf, 'namespace'>,
  make: (target: Session) => Promise<ExtractionPlan>,
  finish?: Finish,
): Promise<PlanSummary> {
  return warehouse.write({ run: run.runId, signal }, async (target) => {
    if (run.attempt.number > 1) await endEarlierSessions(target, run.runId);
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

const pacing = ({ maxBytesPerSecond }: ExtractTableInput): Pick<PlanSummary, 'maxBytesPerSecond'> =>
  maxBytesPerSecond === undefined ? {} : { maxBytesPerSecond };
