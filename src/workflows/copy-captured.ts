import {
  ChildWorkflowCancellationType,
  isCancellation,
  log,
  ParentClosePolicy,
  patched,
  startChild,
} from '@temporalio/workflow';
import { referenceOf } from '../contract/capture-activities.ts';
import { listed } from '../contract/listed.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { holdSlot } from './activities.ts';
import { withBeside } from './beside.ts';
import { copyCapturedTable, type CaptureOfCopies, type MomentOfCopies } from './copy-captured-table.ts';
import {
  copyCapturedTables,
  type CopiedTables,
  type CopyCapturedTablesRequest,
} from './copy-captured-tables.ts';
import type { Fanout } from './copy-plan.ts';
import { copySmall } from './copy-small-tables.ts';
import { isUnknownType, messageOf, ofKind } from './failure.ts';
import { isHistoryLong } from './long-history.ts';
import { parallelismSignal, pauseSignal, resumeSignal, sharedSnapshotSignal } from './messages.ts';
import { withSnapshot, type SnapshotRelay } from './snapshot-relay.ts';
import { startNamed } from './start-child.ts';
import { tellChild } from './tell-child.ts';

/** Most tables of a child: their names are its input. */
const MOST_OF_A_CHILD = 200;

export interface CopyRound extends CaptureOfCopies {
  readonly tables: readonly TableName[];
  /** `permanent`: creates the slot of the capture. `temporary`: one that only lends its snapshot. */
  readonly slot: 'permanent' | 'temporary';
  /** Called for tables that were copied, with what readers of the copies should know. */
  readonly onCopied: (tables: readonly TableName[], warnings: readonly string[]) => void;
  /** Called for a table that could not be copied; returns true if the others should be copied all the same. */
  readonly goesOnWithout: (table: TableName, error: unknown) => boolean;
}

interface MomentOfRound extends MomentOfCopies {
  readonly lender: SnapshotRelay;
}

const captureOf = ({ captureId, input, run }: CopyRound): CaptureOfCopies => ({ captureId, input, run });

/**
 * Copies tables on the snapshot of a new slot: small ones in packs, and then the others one after the other, through the
 * fan-out of `extractTable`, here or in children once the history is long.
 */
export async function copyCaptured(fanout: Fanout, round: CopyRound): Promise<void> {
  const { captureId, input, run, slot, tables } = round;
  const { source } = input;
  const capture = referenceOf(captureId, input);
  const first = async (holder: string) => holdSlot({ ...run, ...capture, holder, slot });
  await withSnapshot({ source, runId: run.runId, first }, true, async (relay) => {
    const taken = { lender: relay, copiedAt: (await relay.held()).snapshot.lsn };
    // in earlier versions all tables were copied one after the other
    const isPacked = patched('small-captured-tables-are-packed');
    const rest = isPacked ? await copySmall(fanout, captureOf(round), tables, taken, round.onCopied) : tables;
    for (let left = rest; ;) {
      const [table] = left;
      if (table === undefined) return;
      // in earlier versions, in which a capture had 500 tables at the most, all were copied here
      if (isHistoryLong() && patched('many-copies-have-children')) {
        const tried = await copyByChild(fanout, round, left.slice(0, MOST_OF_A_CHILD), taken);
        left = left.slice(tried);
        if (tried > 0) continue;
      }
      left = left.slice(1);
      try {
        round.onCopied([table], await copyCapturedTable(fanout, round, table, taken));
      } catch (error) {
        const isOfAll = relay.failure !== undefined || isCancellation(error);
        // in earlier versions a round ended with the first table that failed
        if (isOfAll || !patched('one-table-holds-up-no-other')) throw error;
        if (!round.goesOnWithout(table, error)) throw error;
      }
    }
  });
}

/** @returns how many of the tables were tried: none if a worker of an earlier version, which has no such child, took it */
async function copyByChild(
  fanout: Fanout,
  round: CopyRound,
  tables: readonly TableName[],
  { lender: relay, copiedAt }: MomentOfRound,
): Promise<number> {
  const request = { capture: captureOf(round), tables, ...(copiedAt !== undefined && { copiedAt }) };
  const tried = await relay
    .lend(async (snapshot) => runChild(fanout, { ...request, snapshot }, relay))
    .catch((error: unknown) => {
      if (!isUnknownType(error)) throw error;
      log.warn('a worker of an earlier version has no child for these copies', { reason: messageOf(error) });
      return { rows: 0, bytes: 0, outcomes: [] };
    });
  const { rows, bytes, outcomes } = tried;
  fanout.progress.copied({ rows, bytes }, 0);
  const done = outcomes.filter(({ failure }) => failure === undefined);
  // at once: each call goes through all tables of the capture
  round.onCopied(
    done.map(({ table }) => table),
    done.flatMap(({ warnings }) => warnings),
  );
  for (const { table, failure } of outcomes) {
    if (failure === undefined) continue;
    const error = ofKind(failure.kind, failure.message);
    if (!round.goesOnWithout(table, error)) throw error;
  }
  return outcomes.length;
}

async function runChild(
  fanout: Fanout,
  request: Omit<CopyCapturedTablesRequest, 'parallelism'>,
  relay: SnapshotRelay,
): Promise<CopiedTables> {
  const { tables, snapshot } = request;
  const names = tables.map(formatTableName);
  const parallelism = fanout.window.width;
  const child = await startNamed(names[0] ?? '', async (workflowId) =>
    startChild(copyCapturedTables, {
      workflowId,
      parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
      cancellationType: ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED,
      staticSummary: listed(names, 1),
      args: [{ ...request, parallelism }],
    }),
  );
  fanout.child = child;
  // it may have changed while the child started
  if (fanout.window.width !== parallelism) await tellChild(child, parallelismSignal, fanout.window.width);
  try {
    return await withBeside(
      async () =>
        Promise.all([
          relay.tell(snapshot, async (next) => tellChild(child, sharedSnapshotSignal, next)),
          fanout.gate.tell(async (paused) => tellChild(child, paused ? pauseSignal : resumeSignal)),
        ]),
      async () => child.result(),
    );
  } finally {
    fanout.child = undefined;
  }
}
