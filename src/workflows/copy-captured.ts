import { CancellationScope, isCancellation, log, patched, uuid4 } from '@temporalio/workflow';
import { referenceOf } from '../contract/capture-activities.ts';
import type { RunIdentity } from '../contract/run-identity.ts';
import { partOf } from '../contract/run-parts.ts';
import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { commitBronze, discardStaging, finishCopy, holdSlot, planCopy } from './activities.ts';
import { copyPlan, type Fanout } from './copy-plan.ts';
import { messageOf, ofKind } from './failure.ts';
import { withSnapshot, type SnapshotRelay } from './snapshot-relay.ts';

export interface CopyRound {
  readonly captureId: string;
  readonly input: CaptureChangesInput;
  readonly run: RunIdentity;
  readonly tables: readonly TableName[];
  /** `permanent`: creates the slot of the capture. `temporary`: one that only lends its snapshot. */
  readonly slot: 'permanent' | 'temporary';
  /** Called for each copied table, with what readers of the copy should know. */
  readonly onCopied: (table: TableName, warnings: readonly string[]) => void;
  /** Called for a table that could not be copied; returns true if the others should be copied all the same. */
  readonly goesOnWithout: (table: TableName, error: unknown) => boolean;
}

/** Copies tables one after the other on the snapshot of a new slot, through the fan-out of `extractTable`. */
export async function copyCaptured(fanout: Fanout, round: CopyRound): Promise<void> {
  const { captureId, input, run, slot } = round;
  const { source } = input;
  const capture = referenceOf(captureId, input);
  const first = async (holder: string) => holdSlot({ ...run, ...capture, holder, slot });
  await withSnapshot({ source, runId: run.runId, first }, true, async (relay) => {
    const { lsn } = (await relay.held()).snapshot;
    for (const table of round.tables) {
      try {
        round.onCopied(table, await copyOne(fanout, round, table, { relay, lsn }));
      } catch (error) {
        const isOfAll = relay.failure !== undefined || isCancellation(error);
        // in earlier versions a round ended with the first table that failed
        if (isOfAll || !patched('one-table-holds-up-no-other')) throw error;
        if (!round.goesOnWithout(table, error)) throw error;
      }
    }
  });
}

/** Copies a table in a run of its own, with its own manifest. @returns its warnings */
async function copyOne(
  fanout: Fanout,
  { captureId, run: whole, input }: CopyRound,
  table: TableName,
  { relay, lsn: copiedAt }: { readonly relay: SnapshotRelay; readonly lsn: string | undefined },
): Promise<readonly string[]> {
  const run: RunIdentity = { runId: partOf(whole.runId, uuid4()), workflowId: whole.workflowId };
  const summary = formatTableName(table);
  const { parallelism, deletes } = input;
  const capture = referenceOf(captureId, input);
  try {
    const plan = await relay.lend(async (snapshot) =>
      planCopy.executeWithOptions({ summary }, [{ ...run, ...capture, table, parallelism, snapshot }]),
    );
    if (plan === null) return [];
    await copyPlan(fanout, plan, relay);
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
