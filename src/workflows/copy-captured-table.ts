import { CancellationScope, log, patched, uuid4 } from '@temporalio/workflow';
import { referenceOf } from '../contract/capture-activities.ts';
import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import type { Copied } from '../contract/chunks.ts';
import type { RunIdentity } from '../contract/run-identity.ts';
import { partOf } from '../contract/run-parts.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { commitBronze, discardStaging, finishCopy, planCopy } from './activities.ts';
import { copyPlan, type Fanout } from './copy-plan.ts';
import { messageOf, ofKind } from './failure.ts';
import { isHistoryLong } from './long-history.ts';
import type { PauseGate } from './pause-gate.ts';
import { SlidingWindow } from './sliding-window.ts';
import type { SnapshotLender } from './snapshot-relay.ts';

/** Beyond it, a child costs a history fewer events than the copies of a plan. */
const FEW_CHUNKS = 2;

/** The capture whose tables are copied. */
export interface CaptureOfCopies {
  readonly captureId: string;
  readonly input: CaptureChangesInput;
  readonly run: RunIdentity;
}

export interface MomentOfCopies {
  readonly lender: SnapshotLender;
  /** Position of the snapshot in the log of the source. */
  readonly copiedAt: string | undefined;
}

/** Returns a fan-out for the tables of a capture, which come one after the other. */
export const captureFanout = (
  parallelism: number,
  gate: PauseGate,
  onCopied: (copied: Copied) => void,
): Fanout => ({
  window: new SlidingWindow(parallelism),
  gate,
  progress: { began: () => () => undefined, copied: onCopied },
  untilQuiet: async () => undefined,
  goesToChild: ({ chunks }) =>
    chunks > FEW_CHUNKS && isHistoryLong() && patched('long-histories-have-children'),
  child: undefined,
});

/** Copies a table of a capture in a run of its own, with its own manifest. @returns its warnings */
export async function copyCapturedTable(
  fanout: Fanout,
  { captureId, run: whole, input }: CaptureOfCopies,
  table: TableName,
  { lender, copiedAt }: MomentOfCopies,
): Promise<readonly string[]> {
  const run: RunIdentity = { runId: partOf(whole.runId, uuid4()), workflowId: whole.workflowId };
  const summary = formatTableName(table);
  const { parallelism, deletes } = input;
  const capture = referenceOf(captureId, input);
  try {
    const plan = await lender.lend(async (snapshot) =>
      planCopy.executeWithOptions({ summary }, [{ ...run, ...capture, table, parallelism, snapshot }]),
    );
    if (plan === null) return [];
    await copyPlan(fanout, plan, lender);
    const { outcome } = await commitBronze.executeWithOptions({ summary }, [
      { planId: plan.planId, runId: run.runId },
    ]);
    if (outcome === 'incomplete') throw ofKind('StagingLost', `The ledger of ${summary} lacks chunks`);
    await finishCopy.executeWithOptions({ summary }, [
      { ...capture, table, deletes, runId: run.runId, ...(copiedAt !== undefined && { copiedAt }) },
    ]);
    return plan.warnings;
  } catch (error) {
    await discard(run, error);
    throw error;
  }
}

async function discard(run: RunIdentity, error: unknown): Promise<void> {
  const outcome = { status: 'failed', message: messageOf(error) } as const;
  try {
    await CancellationScope.nonCancellable(async () =>
      discardStaging.executeWithOptions({ activityId: `discard-${run.runId.slice(-8)}` }, [
        { ...run, outcome },
      ]),
    );
  } catch (discarding) {
    log.warn('the staging table could not be dropped', { reason: messageOf(discarding) });
  }
}
