import { setHandler, sleep } from '@temporalio/workflow';
import type { Copied, CopiedSpan, PlanSummary, Snapshot, Span } from '../contract/activities.ts';
import { copyChunks } from './activities.ts';
import { spanLabel, spansOf } from './chunk-spans.ts';
import { parallelismSignal } from './messages.ts';
import { PauseGate } from './pause-gate.ts';
import { SlidingWindow } from './sliding-window.ts';

const PAUSE_HEARD_WITHIN = '1 second';

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
  const gate = new PauseGate(() => undefined);
  setHandler(parallelismSignal, (width) => window.resize(width));
  let rows = 0;
  let bytes = 0;
  await window.forEach(
    spansOf(from, to, () => window.width),
    async (span) => {
      await copyWhole(gate, span, async (part) => {
        const copied = await copySpan(plan, part, snapshot);
        rows += copied.rows;
        bytes += copied.bytes;
        return copied;
      });
    },
  );
  return { rows, bytes };
}

/** Copies a span, in several parts where the run was paused meanwhile. */
export async function copyWhole(
  gate: PauseGate,
  span: Span,
  copy: (part: Span) => Promise<CopiedSpan>,
): Promise<void> {
  for (let left: Span | undefined = span; left !== undefined;) {
    await gate.opened();
    const before: Span = left;
    left = (await copy(before)).left;
    // that the run is paused, or goes on, is heard here a moment later or earlier than there
    if (left?.from === before.from) await sleep(PAUSE_HEARD_WITHIN);
  }
}

/** One activity, under a name that people can read and address. */
export async function copySpan(
  plan: PlanSummary,
  span: Span,
  snapshot: Snapshot | undefined,
): Promise<CopiedSpan> {
  return copyChunks.executeWithOptions({ activityId: `copy-${span.from}`, summary: spanLabel(plan, span) }, [
    { planId: plan.planId, ...span, ...(snapshot !== undefined && { snapshot }) },
  ]);
}
