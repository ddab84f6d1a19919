import {
  type ApplicationFailure,
  CancellationScope,
  isCancellation,
  log,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { CommitResult, PlanSummary, RunIdentity } from '../contract/activities.ts';
import {
  extractTableExample,
  extractTableInput,
  parallelism,
  type ExtractTableInput,
  type ExtractTableRequest,
  type ExtractTableResult,
} from '../contract/extract-table.ts';
import { parseInput } from '../contract/parse-input.ts';
import { formatDuration } from '../contract/quantities.ts';
import { shareConnections } from '../contract/source-inputs.ts';
import { formatTableName } from '../contract/table-name.ts';
import { commitBronze, discardStaging, discardUnplanned, planExtraction } from './activities.ts';
import { checked } from './checked-input.ts';
import { copyPlan, copyThese, type Fanout } from './copy-plan.ts';
import { asRunFailure, canBeginAgain, messageOf, ofKind } from './failure.ts';
import { setParallelismUpdate } from './messages.ts';
import { untilQuietHours } from './quiet-hours.ts';
import { RunProgress } from './run-progress.ts';
import { SlidingWindow } from './sliding-window.ts';
import { withSnapshot } from './snapshot-relay.ts';

/** Each loss of a snapshot costs the whole copy, so a run that loses so many has a cause that does not pass. */
const MOST_RESTARTS = 10;
const LONGEST_PAUSE = 60_000;

/** Extracts one table of a source into bronze. */
export async function extractTable(request: ExtractTableRequest): Promise<ExtractTableResult> {
  const input = checked(() => parseInput(extractTableInput, request, extractTableExample));
  const fanout = openFanout(input);
  const { firstExecutionRunId: runId, workflowId, startTime } = workflowInfo();
  const run: RunIdentity = { runId, workflowId };
  try {
    const { plan, result } = await extractWithRestarts(fanout, run, input);
    const checkpoint = result.incremental?.checkpoint;
    fanout.progress.set({ phase: 'done', ...(typeof checkpoint === 'string' && { checkpoint }) });
    return {
      table: formatTableName(input.table),
      target: plan.target,
      runId,
      outcome: result.outcome,
      rows: result.rows,
      bytes: result.bytes,
      chunks: plan.chunks,
      partitions: plan.partitionCount,
      ...(plan.skippedPartitions !== undefined && { skippedPartitions: plan.skippedPartitions }),
      duration: formatDuration(Date.now() - startTime.getTime()),
      restarts: fanout.progress.now.restarts,
      warnings: result.warnings ?? plan.warnings,
      ...(result.incremental !== undefined && { incremental: result.incremental }),
    };
  } catch (error) {
    await leaveNothing(fanout, run, error);
    throw asRunFailure(error);
  }
}

function openFanout(input: ExtractTableInput): Fanout {
  const { copies } = shareConnections(input.maxSourceConnections, input.consistency === 'snapshot');
  const width = Math.min(input.parallelism, copies);
  const progress = new RunProgress(formatTableName(input.table), width);
  const fanout: Fanout = {
    window: new SlidingWindow(width),
    progress,
    untilQuiet: async () => untilQuietHours(input.quietHours, progress),
    onResize: undefined,
  };
  setHandler(
    setParallelismUpdate,
    async (wanted) => {
      const before = fanout.window.width;
      const next = Math.min(wanted, copies);
      fanout.window.resize(next);
      progress.set({ parallelism: next });
      await fanout.onResize?.(next);
      return before;
    },
    { validator: (wanted) => void parseInput(parallelism, wanted, input.parallelism) },
  );
  return fanout;
}

type Finished = Exclude<CommitResult, { outcome: 'incomplete' }>;

/** Begins again, by itself, when the snapshot or the plan is lost; what was staged is dropped by the next plan. */
async function extractWithRestarts(
  fanout: Fanout,
  run: RunIdentity,
  input: ExtractTableInput,
): Promise<{ plan: PlanSummary; result: Finished }> {
  for (let restarts = 0; ; restarts += 1) {
    try {
      return await extractOnce(fanout, run, input);
    } catch (error) {
      if (!canBeginAgain(error)) throw error;
      if (restarts === MOST_RESTARTS) throw gaveUp(error);
      log.warn('the run begins again', { reason: messageOf(error) });
      await sleep(Math.min(1000 * 2 ** restarts, LONGEST_PAUSE));
      fanout.progress.set({ phase: 'planning', rows: 0, bytes: 0, chunksDone: 0, restarts: restarts + 1 });
    }
  }
}

function gaveUp(error: unknown): ApplicationFailure {
  return ofKind(
    'SnapshotLost',
    `The run began again ${MOST_RESTARTS} times and was lost each time. ${messageOf(error)}`,
  );
}

async function extractOnce(
  fanout: Fanout,
  run: RunIdentity,
  input: ExtractTableInput,
): Promise<{ plan: PlanSummary; result: Finished }> {
  await fanout.untilQuiet();
  const plan = await planExtraction.executeWithOptions({ activityId: 'plan' }, [{ ...run, input }]);
  const { chunks, checkpoint } = plan;
  fanout.progress.set({
    phase: 'copying',
    chunks,
    copyingSince: Date.now(),
    ...(checkpoint !== undefined && { checkpoint }),
  });
  // a single COPY is its own snapshot
  const shared = input.consistency === 'snapshot' && plan.chunks > 1;
  if (shared) {
    const { companion } = shareConnections(input.maxSourceConnections, true);
    const { source, idleTimeout } = input;
    const request = { source, runId: run.runId, ...(idleTimeout !== undefined && { idleTimeout }) };
    await withSnapshot(request, companion, async (relay) => {
      fanout.progress.set({ snapshotTakenAt: (await relay.held()).snapshot.takenAt });
      await copyPlan(fanout, plan, relay);
    });
  } else {
    await copyPlan(fanout, plan, undefined);
  }
  return { plan, result: await commit(fanout, run, plan, shared) };
}

async function commit(
  fanout: Fanout,
  run: RunIdentity,
  plan: PlanSummary,
  shared: boolean,
): Promise<Finished> {
  for (;;) {
    fanout.progress.set({ phase: 'committing' });
    const result = await commitBronze.executeWithOptions({ activityId: 'commit', summary: plan.target }, [
      { planId: plan.planId, runId: run.runId },
    ]);
    if (result.outcome !== 'incomplete') return result;
    // chunks of another moment must not join those of a snapshot that is gone
    if (shared) throw ofKind('StagingLost', `The ledger lacks ${result.missing.length} chunks`);
    const spans = result.missing.map((from) => ({ from, count: 1 }));
    await copyThese(fanout, plan, spans, undefined);
  }
}

async function leaveNothing(fanout: Fanout, run: RunIdentity, error: unknown): Promise<void> {
  const status = isCancellation(error) ? 'cancelled' : 'failed';
  const discard = fanout.progress.now.chunks === 0 ? discardUnplanned : discardStaging;
  fanout.progress.set({ phase: status });
  try {
    await CancellationScope.nonCancellable(async () =>
      discard({ ...run, outcome: { status, message: messageOf(error) } }),
    );
  } catch (discarding) {
    log.warn('the staging table could not be dropped', { reason: messageOf(discarding) });
  }
}
