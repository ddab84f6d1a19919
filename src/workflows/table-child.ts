import {
  ChildWorkflowCancellationType,
  ParentClosePolicy,
  startChild,
  type ChildWorkflowHandle,
} from '@temporalio/workflow';
import type { ExtractTableRequest } from '../contract/extract-table.ts';
import { formatBytes } from '../contract/quantities.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import { extractTable } from './extract-table.ts';
import { parallelismSignal, pauseSignal, sharedSnapshotSignal } from './messages.ts';
import type { PauseGate } from './pause-gate.ts';
import type { SnapshotRelay } from './snapshot-relay.ts';
import { startNamed } from './start-child.ts';
import type { ListedTable } from './table-list.ts';
import { tellChild } from './tell-child.ts';
import type { Unit } from './units.ts';

/** What a child is told as it starts, and again when it changes. */
export interface ToldChild {
  readonly width: number;
  readonly snapshot: Snapshot | undefined;
}

export interface TableOfRun {
  readonly runId: string;
  readonly table: ListedTable;
  readonly request: ExtractTableRequest;
  /** True if the run may have only so many source sessions. */
  readonly isSparing: boolean;
}

/** Starts the workflow that extracts one table of a database run. */
export async function startTableChild(
  { runId, table, request, isSparing }: TableOfRun,
  { width, snapshot }: ToldChild,
): Promise<ChildWorkflowHandle<typeof extractTable>> {
  return startNamed(table.table, async (workflowId) =>
    startChild(extractTable, {
      workflowId,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      staticSummary: `${table.table}, ${formatBytes(table.bytes)}`,
      args: [
        { ...request, parallelism: width },
        {
          runId,
          member: table.member,
          ...(snapshot !== undefined && { snapshot }),
          ...(isSparing && { sparing: true as const }),
        },
      ],
    }),
  );
}

/** Sends what changed while the child was being started, since only started children were told. */
export async function tellSince(
  { child, width }: Unit,
  told: ToldChild,
  gate: PauseGate,
  relay: SnapshotRelay | undefined,
): Promise<void> {
  if (gate.paused) await tellChild(child, pauseSignal);
  if (width !== told.width) await tellChild(child, parallelismSignal, width);
  const snapshot = (await relay?.held())?.snapshot;
  if (snapshot !== undefined && snapshot.id !== told.snapshot?.id)
    await tellChild(child, sharedSnapshotSignal, snapshot);
}
