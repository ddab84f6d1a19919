import { ParentClosePolicy, startChild, type ChildWorkflowHandle, type Workflow } from '@temporalio/workflow';
import type { Copied, Span } from '../contract/chunks.ts';
import type { PlanSummary } from '../contract/plan-summary.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { pauseCopies } from './activities.ts';
import { withBeside } from './beside.ts';
import { spanLabel, stretchesOf, type Stretch } from './chunk-spans.ts';
import { copySpan, copyStretch, copyWhole, spansIn } from './copy-stretch.ts';
import { parallelismSignal, pauseSignal, resumeSignal } from './messages.ts';
import type { PauseGate } from './pause-gate.ts';
import type { RunProgress } from './run-progress.ts';
import type { SlidingWindow } from './sliding-window.ts';
import type { SnapshotLender } from './snapshot-relay.ts';
import { startNamed } from './start-child.ts';
import { tellChild } from './tell-child.ts';

/** A span costs six events, and a history should stay below 10,000: beyond this, children share the work. */
const MOST_CHUNKS_HERE = 8_000;
const CHUNKS_OF_A_CHILD = 4_000;
/** Each costs its parent's history some ten events. */
const MOST_CHILDREN = 200;

export interface Fanout {
  readonly window: SlidingWindow;
  readonly gate: PauseGate;
  readonly progress: Pick<RunProgress, 'began' | 'copied'>;
  /** Waits for the hours in which the run may read. */
  readonly untilQuiet: () => Promise<void>;
  /** Returns whether a plan goes to a child although its copies would fit in a history: this one has much else. */
  readonly goesToChild?: (plan: PlanSummary) => boolean;
  /** Set while a child copies, so that a new width or a pause reaches it. */
  child: ChildWorkflowHandle<Workflow> | undefined;
}

/** Copies all chunks of a plan, a bounded number at once; without a lender each reads its own moment. */
export async function copyPlan(
  fanout: Fanout,
  plan: PlanSummary,
  lender: SnapshotLender | undefined,
): Promise<void> {
  await withBeside(
    async () => fanout.gate.tell(async (paused) => pause(fanout, plan, paused)),
    async () => {
      if (plan.chunks > MOST_CHUNKS_HERE || fanout.goesToChild?.(plan) === true)
        return copyByChildren(fanout, plan, lender);
      const spans = spansIn({ from: 0, count: plan.chunks }, plan, fanout.window);
      return copyThese(fanout, plan, spans, lender);
    },
  );
}

/** Changes how many spans are copied at once, here or in the child that copies now. 0 begins no other. */
export async function resizeFanout({ window, child }: Fanout, width: number): Promise<void> {
  window.resize(width);
  await tellChild(child, parallelismSignal, width);
}

/** Tells running copies of the plan through the warehouse, and a child by signal. */
async function pause(fanout: Fanout, { planId }: PlanSummary, paused: boolean): Promise<void> {
  await tellChild(fanout.child, paused ? pauseSignal : resumeSignal);
  await pauseCopies({ planId, paused });
}

export async function copyThese(
  fanout: Fanout,
  plan: PlanSummary,
  spans: Iterable<Span>,
  lender: SnapshotLender | undefined,
): Promise<void> {
  const { window, progress } = fanout;
  await window.forEach(spans, async (span) => {
    await copyWhole(fanout.gate, span, async (part) => {
      if (lender === undefined) await fanout.untilQuiet();
      const ended = progress.began(part);
      try {
        const copied = await onSnapshot(lender, async (snapshot) =>
          copySpan(plan, part, { label: spanLabel(plan, part), snapshot, width: window.width }),
        );
        progress.copied(copied, part.count - (copied.left?.count ?? 0));
        return copied;
      } finally {
        ended();
      }
    });
  });
}

async function onSnapshot<T>(
  lender: SnapshotLender | undefined,
  work: (snapshot: Snapshot | undefined) => Promise<T>,
): Promise<T> {
  return lender === undefined ? work(undefined) : lender.lend(work);
}

/** Runs one child after the other: each gets the full width, and waiting for its last chunks takes only seconds. */
async function copyByChildren(
  fanout: Fanout,
  plan: PlanSummary,
  lender: SnapshotLender | undefined,
): Promise<void> {
  const most = Math.max(CHUNKS_OF_A_CHILD, Math.ceil(plan.chunks / MOST_CHILDREN));
  for (const stretch of stretchesOf(plan, most)) {
    if (lender === undefined) await fanout.untilQuiet();
    const copied = await onSnapshot(lender, async (snapshot) => copyByChild(fanout, plan, stretch, snapshot));
    fanout.progress.copied(copied, stretch.count);
  }
}

async function copyByChild(
  fanout: Fanout,
  { planId, runId, chunks, keys, maxBytesPerSecond }: PlanSummary,
  stretch: Stretch,
  snapshot: Snapshot | undefined,
): Promise<Copied> {
  const parallelism = fanout.window.width;
  const child = await startNamed(`${planId}/${stretch.name}`, async (workflowId) =>
    startChild(copyStretch, {
      workflowId,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      staticSummary: stretch.name,
      args: [
        {
          planId,
          ...(runId !== undefined && { runId }),
          chunks,
          ...(keys !== undefined && { keys }),
          stretch,
          parallelism,
          ...(maxBytesPerSecond !== undefined && { maxBytesPerSecond }),
          ...(snapshot !== undefined && { snapshot }),
        },
      ],
    }),
  );
  fanout.child = child;
  // both may have changed while it started
  if (fanout.window.width !== parallelism) await tellChild(child, parallelismSignal, fanout.window.width);
  if (fanout.gate.paused) await tellChild(child, pauseSignal);
  try {
    return await child.result();
  } finally {
    fanout.child = undefined;
  }
}
