import { ParentClosePolicy, startChild, workflowInfo } from '@temporalio/workflow';
import type { Copied, PlanSummary, Snapshot, Span } from '../contract/activities.ts';
import { utf8Length } from '../contract/table-name.ts';
import { spanLabel, spansOf, stretchesOf, type Stretch } from './chunk-spans.ts';
import { copySpan, copyStretch } from './copy-stretch.ts';
import { parallelismSignal } from './messages.ts';
import type { RunProgress } from './run-progress.ts';
import type { SlidingWindow } from './sliding-window.ts';
import type { SnapshotRelay } from './snapshot-relay.ts';

/** A span of chunks costs six events, and a history should end before 10,000: past this, children share the work. */
const MOST_CHUNKS_HERE = 8_000;
const CHUNKS_OF_A_CHILD = 4_000;
/** Each costs the history of its parent some ten events. */
const MOST_CHILDREN = 200;

export interface Fanout {
  readonly window: SlidingWindow;
  readonly progress: Pick<RunProgress, 'copied'>;
  /** Waits for the hours in which the run may read. */
  readonly untilQuiet: () => Promise<void>;
  /** Set while a child copies, so that a change of the width reaches it. */
  onResize: ((width: number) => Promise<void>) | undefined;
}

/** Copies all chunks of a plan, a bounded number of them at once; without a relay each reads a moment of its own. */
export async function copyPlan(
  fanout: Fanout,
  plan: PlanSummary,
  relay: SnapshotRelay | undefined,
): Promise<void> {
  if (plan.chunks > MOST_CHUNKS_HERE) return copyByChildren(fanout, plan, relay);
  const spans = spansOf(0, plan.chunks, plan.chunks, () => fanout.window.width);
  return copyThese(fanout, plan, spans, relay);
}

export async function copyThese(
  fanout: Fanout,
  plan: PlanSummary,
  spans: Iterable<Span>,
  relay: SnapshotRelay | undefined,
): Promise<void> {
  const { window, progress } = fanout;
  await window.forEach(spans, async (span) => {
    if (relay === undefined) await fanout.untilQuiet();
    const copied = await onSnapshot(relay, async (snapshot) =>
      copySpan(plan, span, { label: spanLabel(plan, span), snapshot, width: window.width }),
    );
    progress.copied(copied, span.count);
  });
}

async function onSnapshot<T>(
  relay: SnapshotRelay | undefined,
  work: (snapshot: Snapshot | undefined) => Promise<T>,
): Promise<T> {
  return relay === undefined ? work(undefined) : relay.lend(work);
}

/** One child after the other: the width is theirs, and the last chunks of one are seconds. */
async function copyByChildren(
  fanout: Fanout,
  plan: PlanSummary,
  relay: SnapshotRelay | undefined,
): Promise<void> {
  const most = Math.max(CHUNKS_OF_A_CHILD, Math.ceil(plan.chunks / MOST_CHILDREN));
  for (const stretch of stretchesOf(plan, most)) {
    if (relay === undefined) await fanout.untilQuiet();
    const copied = await onSnapshot(relay, async (snapshot) => copyByChild(fanout, plan, stretch, snapshot));
    fanout.progress.copied(copied, stretch.count);
  }
}

async function copyByChild(
  fanout: Fanout,
  { planId, chunks, maxBytesPerSecond }: PlanSummary,
  stretch: Stretch,
  snapshot: Snapshot | undefined,
): Promise<Copied> {
  const child = await startChild(copyStretch, {
    workflowId: childId(planId, stretch),
    parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
    staticSummary: stretch.name,
    args: [
      {
        planId,
        chunks,
        stretch,
        parallelism: fanout.window.width,
        ...(maxBytesPerSecond !== undefined && { maxBytesPerSecond }),
        ...(snapshot !== undefined && { snapshot }),
      },
    ],
  });
  fanout.onResize = async (width) => child.signal(parallelismSignal, width);
  try {
    return await child.result();
  } finally {
    fanout.onResize = undefined;
  }
}

/** The server takes no longer ids. */
const LONGEST_ID = 1000;

function childId(planId: string, { name, from, count }: Stretch): string {
  const id = (end: string) => `${workflowInfo().workflowId}/${planId}/${end}`;
  return utf8Length(id(name)) <= LONGEST_ID ? id(name) : id(`${from}-${from + count - 1}`);
}
