import { setHandler } from '@temporalio/workflow';
import type { ChunkResult, PlanSummary, Snapshot } from '../contract/activities.ts';
import { copyChunk } from './activities.ts';
import { chunkLabel } from './chunk-label.ts';
import { parallelismSignal } from './messages.ts';
import { SlidingWindow } from './sliding-window.ts';

export interface CopyChunksRequest {
  readonly plan: PlanSummary;
  readonly snapshot?: Snapshot;
  readonly from: number;
  /** Not included. */
  readonly to: number;
  readonly parallelism: number;
}

/** A child of `extractTable` that copies a stretch of a very large plan, so that no history grows too long. */
export async function copyChunks({ plan, snapshot, from, to, parallelism }: CopyChunksRequest): Promise<ChunkResult> {
  const window = new SlidingWindow(parallelism);
  setHandler(parallelismSignal, (width) => window.resize(width));
  let rows = 0;
  let bytes = 0;
  await window.forEach(numbers(from, to), async (chunk) => {
    const copied = await copyOne(plan, chunk, snapshot);
    rows += copied.rows;
    bytes += copied.bytes;
  });
  return { rows, bytes };
}

export async function copyOne(plan: PlanSummary, chunk: number, snapshot: Snapshot | undefined): Promise<ChunkResult> {
  return copyChunk.executeWithOptions({ activityId: `copy-${chunk}`, summary: chunkLabel(plan, chunk) }, [
    { planId: plan.planId, chunk, ...(snapshot !== undefined && { snapshot }) },
  ]);
}

export function* numbers(from: number, to: number): Iterable<number> {
  for (let number = from; number < to; number += 1) yield number;
}
