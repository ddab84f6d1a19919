import { patched, sleep } from '@temporalio/workflow';
import type { Copied, CopiedSpan, Span } from '../contract/chunks.ts';
import type { PlanSummary } from '../contract/plan-summary.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { copyChunks } from './activities.ts';
import { spanLabel, spansOf, type Stretch } from './chunk-spans.ts';
import { hearParallelism } from './hear-parallelism.ts';
import { PauseGate } from './pause-gate.ts';
import { SlidingWindow } from './sliding-window.ts';

const PAUSE_HEARD_WITHIN = '1 second';

/** What cutting into spans needs to know, of the whole plan. */
type PlanToCut = Pick<PlanSummary, 'chunks' | 'keys'>;

/** What copying needs to know of a plan. */
export type PlanToCopy = Pick<PlanSummary, 'planId' | 'runId' | 'maxBytesPerSecond'>;

export interface CopyStretchRequest extends PlanToCopy, PlanToCut {
  readonly stretch: Stretch;
  readonly snapshot?: Snapshot;
  readonly parallelism: number;
}

/** Copies a stretch of a very large plan as a child workflow, so that no history grows too long. */
export async function copyStretch({
  stretch,
  snapshot,
  parallelism,
  ...plan
}: CopyStretchRequest): Promise<Copied> {
  const window = new SlidingWindow(parallelism);
  const gate = new PauseGate();
  gate.listen();
  hearParallelism((width) => window.resize(width));
  const { from, count, name } = stretch;
  const labelled = { chunks: count, partitions: [{ name, chunks: count }] };
  let rows = 0;
  let bytes = 0;
  await window.forEach(spansIn(stretch, plan, window), async (span) => {
    await copyWhole(gate, span, async (part) => {
      const label = spanLabel(labelled, { from: part.from - from, count: part.count });
      const copied = await copySpan(plan, part, { label, snapshot, width: window.width });
      rows += copied.rows;
      bytes += copied.bytes;
      return copied;
    });
  });
  return { rows, bytes };
}

/** Cuts chunks into spans. In earlier versions those of keys were as long as others. */
export function spansIn(chunks: Span, plan: PlanToCut, window: SlidingWindow): Iterable<Span> {
  const isKnown = plan.keys !== undefined && patched('longer-spans-of-keys');
  return spansOf(chunks, plan.chunks, () => window.width, isKnown ? plan.keys : undefined);
}

/** Copies a span, in several parts if the run is paused in between. */
export async function copyWhole(
  gate: PauseGate,
  span: Span,
  copy: (part: Span) => Promise<CopiedSpan>,
): Promise<void> {
  for (let left: Span | undefined = span; left !== undefined;) {
    await gate.opened();
    const before: Span = left;
    left = (await copy(before)).left;
    // a pause or resume may arrive here a moment before or after it reaches the activity
    if (left?.from === before.from) await sleep(PAUSE_HEARD_WITHIN);
  }
}

export interface SpanContext {
  readonly label: string;
  readonly snapshot: Snapshot | undefined;
  /** How many spans are copied at once, to share the rate limit. */
  readonly width: number;
}

/** Copies a span in one activity, under a name that people can read and address. */
export async function copySpan(
  plan: PlanToCopy,
  span: Span,
  { label, snapshot, width }: SpanContext,
): Promise<CopiedSpan> {
  const { planId, runId, maxBytesPerSecond: most } = plan;
  return copyChunks.executeWithOptions({ activityId: `copy-${span.from}`, summary: label }, [
    {
      planId,
      ...(runId !== undefined && { runId }),
      ...span,
      ...(snapshot !== undefined && { snapshot }),
      ...(most !== undefined && { bytesPerSecond: Math.floor(most / width) }),
    },
  ]);
}
