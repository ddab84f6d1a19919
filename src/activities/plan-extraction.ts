import { log } from '@temporalio/activity';
import { readMembers } from '../bronze/bookkeeping/database-runs.ts';
import type { PlanExtractionRequest, PlanSummary } from '../contract/plan-summary.ts';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import { formatTableName } from '../contract/table-name.ts';
import { DatakitError, affectsEveryTable } from '../contract/failures.ts';
import { analyzeSource } from '../extraction/plan/analyze-source.ts';
import { extractPlanned } from '../extraction/small/extract-planned.ts';
import { planInSnapshot } from '../extraction/plan/plan-in-snapshot.ts';
import { planRun, readingLimits } from '../extraction/plan/plan-run.ts';
import type { Session } from '../postgres/session.ts';
import type { Dependencies } from './dependencies.ts';
import { countCopied, countRetry, measureCommit } from './metrics.ts';
import { runActivity, type ActivityTools } from './run-activity.ts';
import { storePlanOf, type Finish } from './store-plan.ts';

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
      return extractPlanned(target, stored, undefined, {
        ...dependencies,
        ...tools,
        onProgress: tools.report,
      });
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

const pacing = ({ maxBytesPerSecond }: ExtractTableInput): Pick<PlanSummary, 'maxBytesPerSecond'> =>
  maxBytesPerSecond === undefined ? {} : { maxBytesPerSecond };
