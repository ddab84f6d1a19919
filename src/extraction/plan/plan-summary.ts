import { chunkCount, rowChunkCount, type ExtractionPlan } from '../../bronze/plan.ts';
import type { StoredPlan } from '../../bronze/bookkeeping/plans.ts';
import { outcomeOf } from '../../bronze/commit/commit.ts';
import { BRONZE } from '../../bronze/layout.ts';
import type { EndedRun } from '../../bronze/bookkeeping/manifest.ts';
import type { PlanSummary } from '../../contract/plan-summary.ts';
import { labelsOf } from '../partitions/partition-labels.ts';

/** Summarizes a plan for a workflow, in about the same size for any number of partitions and chunks. */
export function summarize({
  planId,
  runId,
  plan,
}: Pick<StoredPlan, 'planId' | 'runId' | 'plan'>): PlanSummary {
  return {
    planId,
    runId,
    target: bronzeName(plan.target),
    chunks: chunkCount(plan),
    partitions: labelsOf(plan),
    partitionCount: plan.partitions.length,
    warnings: plan.warnings,
    ...chunksOfKeys(plan),
    ...(plan.skipped !== undefined && { skippedPartitions: plan.skipped }),
    ...(plan.incremental?.checkpoint != null && { checkpoint: plan.incremental.checkpoint }),
  };
}

/** A span has as many chunks of keys as partitions share a chunk of rows on average. */
function chunksOfKeys({ partitions, incremental }: ExtractionPlan): Pick<PlanSummary, 'keys'> {
  if ((incremental?.keyChunks ?? 0) === 0) return {};
  const apart = partitions.filter(({ chunks }) => chunks > 0).length;
  const inSpan = Math.ceil(partitions.length / apart);
  return inSpan === 1 ? {} : { keys: { from: rowChunkCount({ partitions }), inSpan } };
}

/** Summarizes a plan from the manifest alone, once its run has ended. */
export function summarizeEnded(run: EndedRun): PlanSummary {
  const { planId, target, chunks, partitions, skipped } = run;
  return {
    planId,
    target: bronzeName(target),
    chunks,
    partitions: [],
    partitionCount: partitions,
    warnings: run.warnings,
    ...(skipped !== null && { skippedPartitions: skipped }),
    outcome: outcomeOf(run),
  };
}

const bronzeName = (target: string): string => `${BRONZE}.${target}`;
