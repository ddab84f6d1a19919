import { chunkCount, type ExtractionPlan } from '../bronze/plan.ts';
import type { PlanSummary } from '../contract/activities.ts';
import { labelsOf } from './partition-labels.ts';

/** What a workflow needs to know of a plan: the same size, about, whatever the number of partitions and chunks. */
export function summarize(planId: string, plan: ExtractionPlan): PlanSummary {
  return {
    planId,
    target: `bronze.${plan.target}`,
    chunks: chunkCount(plan),
    partitions: labelsOf(plan),
    partitionCount: plan.partitions.length,
    warnings: plan.warnings,
    ...(plan.skipped !== undefined && { skippedPartitions: plan.skipped }),
    ...(plan.incremental?.checkpoint != null && { checkpoint: plan.incremental.checkpoint }),
  };
}
