import { setHandler } from '@temporalio/workflow';
import type { Copied, PlanSummary, Snapshot, Span } from '../contract/activities.ts';
import { copyChunks } from './activities.ts';
import { spanLabel, spansOf, type Stretch } from './chunk-spans.ts';
import { parallelismSignal } from './messages.ts';
import { SlidingWindow } from './sliding-window.ts';

export interface CopyStretchRequest {
  readonly planId: string;
  /** Of the whole plan. */
  readonly chunks: number;
  readonly stretch: Stretch;
  readonly snapshot?: Snapshot;
  readonly parallelism: number;
}

/** A child of `extractTable` that copies a stretch of a very large plan, so that no history grows too long. */
export async function copyStretch({
  planId,
  chunks,
  stretch,
  snapshot,
  parallelism,
}: CopyStretchRequest): Promise<Copied> {
  const window = new SlidingWindow(parallelism);
  setHandler(parallelismSignal, (width) => window.resize(width));
  const { from, count, name } = stretch;
  const labelled = { planId, chunks: count, partitions: [{ name, chunks: count }] };
  let rows = 0;
  let bytes = 0;
  await window.forEach(
    spansOf(from, from + count, chunks, () => window.width),
    async (span) => {
      const label = spanLabel(labelled, { from: span.from - from, count: span.count });
      const copied = await copySpan(planId, span, label, snapshot);
      rows += copied.rows;
      bytes += copied.bytes;
    },
  );
  return { rows, bytes };
}

/** One activity, under a name that people can read and address. */
export async function copySpan(
  planId: PlanSummary['planId'],
  span: Span,
  label: string,
  snapshot: Snapshot | undefined,
): Promise<Copied> {
  return copyChunks.executeWithOptions({ activityId: `copy-${span.from}`, summary: label }, [
    { planId, ...span, ...(snapshot !== undefined && { snapshot }) },
  ]);
}
