import { setHandler } from '@temporalio/workflow';
import type { Copied, PlanSummary, Snapshot, Span } from '../contract/activities.ts';
import { copyChunks } from './activities.ts';
import { spanLabel, spansOf } from './chunk-spans.ts';
import { parallelismSignal } from './messages.ts';
import { SlidingWindow } from './sliding-window.ts';

export interface CopyStretchRequest {
  readonly plan: PlanSummary;
  readonly snapshot?: Snapshot;
  readonly from: number;
  /** Not included. */
  readonly to: number;
  readonly parallelism: number;
}

/** A child of `extractTable` that copies a stretch of a very large plan, so that no history grows too long. */
export async function copyStretch({
  plan,
  snapshot,
  from,
  to,
  parallelism,
}: CopyStretchRequest): Promise<Copied> {
  const window = new SlidingWindow(parallelism);
  setHandler(parallelismSignal, (width) => window.resize(width));
  let rows = 0;
  let bytes = 0;
  await window.forEach(
    spansOf(from, to, () => window.width),
    async (span) => {
      const copied = await copySpan(plan, span, snapshot, window.width);
      rows += copied.rows;
      bytes += copied.bytes;
    },
  );
  return { rows, bytes };
}

/**
 * One activity, under a name that people can read and address.
 *
 * @param width how many of them there are at once, to share what the run may read
 */
export async function copySpan(
  plan: PlanSummary,
  span: Span,
  snapshot: Snapshot | undefined,
  width: number,
): Promise<Copied> {
  const { planId, maxBytesPerSecond: most } = plan;
  return copyChunks.executeWithOptions({ activityId: `copy-${span.from}`, summary: spanLabel(plan, span) }, [
    {
      planId,
      ...span,
      ...(snapshot !== undefined && { snapshot }),
      ...(most !== undefined && { bytesPerSecond: Math.floor(most / width) }),
    },
  ]);
}
