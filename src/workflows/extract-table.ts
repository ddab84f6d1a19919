import { CancellationScope, isCancellation, log, setHandler, workflowInfo } from '@temporalio/workflow';
import type { PlanSummary } from '../contract/plan-summary.ts';
import type { DatabaseRun, RunIdentity } from '../contract/run-identity.ts';
import type { RunOutcome } from '../contract/run-outcome.ts';
import type { Snapshot } from '../contract/snapshot.ts';
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
import { withBeside } from './beside.ts';
import { BorrowedSnapshot } from './borrowed-snapshot.ts';
import { checked, requireOneInput } from './checked-input.ts';
import { copyPlan, copyThese, resizeFanout, type Fanout } from './copy-plan.ts';
import { pauseToBeginAgain } from './begin-again.ts';
import { asRunFailure, canBeginAgain, endOfRun, messageOf, ofKind } from './failure.ts';
import { hearParallelism } from './hear-parallelism.ts';
import { SET_PARALLELISM_DESCRIPTION, setParallelismUpdate } from './messages.ts';
import { PauseGate } from './pause-gate.ts';
import { untilQuietHours } from './quiet-hours.ts';
import { RunProgress } from './run-progress.ts';
import { scheduledInput } from './scheduled-input.ts';
import { SlidingWindow } from './sliding-window.ts';
import { withSnapshot } from './snapshot-relay.ts';
import { Visibility } from './visibility.ts';
import { watchRun } from './watch-run.ts';

/** Passed by a database run to each of its tables. */
export interface PartOfDatabase extends DatabaseRun {
  /** The snapshot of all tables; if absent, each has its own. */
  readonly snapshot?: Snapshot;
  /**
   * Present if the sessions of all tables together are limited: then only one session holds a snapshot of the
   * table's own, and a table that cannot read the shared snapshot fails, to be started again once a session is
   * free.
   */
  readonly sparing?: true;
}

/**
 * Extracts one table of a source into bronze.
 *
 * @param part passed by `extractDatabase` only
 */
export async function extractTable(
  request: ExtractTableRequest,
  part?: PartOfDatabase,
): Promise<ExtractTableResult> {
  requireOneInput(part, (own) => 'member' in own);
  const input = checked(() => parseInput(extractTableInput, scheduledInput(request), extractTableExample));
  const fanout = openFanout(input);
  const context: RunContext = {
    fanout,
    input,
    part,
    lender: borrowed(part),
    visibility: visibilityOf(input),
  };
  const { firstExecutionRunId: runId, workflowId, startTime } = workflowInfo();
  const run: RunIdentity = { runId, workflowId };
  try {
    const { plan, result } = await withBeside(
      async () => watchRun({ runId, partitions: true }, (observed) => fanout.progress.observed(observed)),
      async () => extractWithRestarts(context, run),
    );
    const checkpoint = result.incremental?.checkpoint;
    fanout.progress.set({ phase: 'done', ...(typeof checkpoint === 'string' && { checkpoint }) });
    context.visibility.show('done', result.rows);
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
  } catch (thrown) {
    const error = endOfRun(thrown);
    await leaveNothing(context, run, error);
    throw asRunFailure(error);
  }
}

/** A fan-out that reports to the progress of its run. */
interface RunFanout extends Fanout {
  readonly progress: RunProgress;
}

function openFanout(input: ExtractTableInput): RunFanout {
  const { copies } = shareConnections(input.maxSourceConnections, input.consistency === 'snapshot');
  const width = Math.min(input.parallelism, copies);
  const progress = new RunProgress(formatTableName(input.table), width);
  const gate = new PauseGate();
  gate.listen((paused) => progress.pause(paused));
  const fanout: RunFanout = {
    window: new SlidingWindow(width),
    gate,
    progress,
    untilQuiet: async () => untilQuietHours(input.quietHours, progress),
    child: undefined,
  };
  hearParallelism(async (wanted) => resize(fanout, Math.min(wanted, copies)));
  setHandler(
    setParallelismUpdate,
    async (wanted) => {
      const before = fanout.window.width;
      await resize(fanout, Math.min(wanted, copies));
      return before;
    },
    {
      validator: (wanted) => void parseInput(parallelism, wanted, input.parallelism),
      description: SET_PARALLELISM_DESCRIPTION,
    },
  );
  return fanout;
}

async function resize(fanout: RunFanout, width: number): Promise<void> {
  fanout.progress.set({ parallelism: width });
  await resizeFanout(fanout, width);
}

interface RunContext {
  readonly fanout: RunFanout;
  readonly input: ExtractTableInput;
  readonly part: PartOfDatabase | undefined;
  readonly visibility: Visibility;
  /** Lends the snapshot of all tables, to the first plan only: if that plan cannot use it, none can. */
  lender: BorrowedSnapshot | undefined;
}

function borrowed(part: PartOfDatabase | undefined): BorrowedSnapshot | undefined {
  return part?.snapshot === undefined ? undefined : new BorrowedSnapshot(part.snapshot);
}

const visibilityOf = ({ table, source, incremental }: ExtractTableInput): Visibility =>
  new Visibility({
    table: formatTableName(table),
    source,
    mode: incremental === undefined ? 'full' : 'incremental',
  });

/** Starts over when the snapshot, plan or staging table is lost; the next plan drops what was staged. */
async function extractWithRestarts(
  context: RunContext,
  run: RunIdentity,
): Promise<{ plan: PlanSummary; result: RunOutcome }> {
  for (let restarts = 0; ; restarts += 1) {
    try {
      return await extractOnce(context, run);
    } catch (error) {
      if (!canBeginAgain(error) || (context.lender !== undefined && context.part?.sparing)) throw error;
      await pauseToBeginAgain(error, restarts);
      context.lender = undefined;
      context.fanout.progress.beginAgain(restarts + 1, messageOf(error));
    }
  }
}

async function extractOnce(
  context: RunContext,
  run: RunIdentity,
): Promise<{ plan: PlanSummary; result: RunOutcome }> {
  const { fanout } = context;
  await fanout.untilQuiet();
  const plan = await planned(context, run);
  context.visibility.isKnown(plan.searchAttributes === true);
  fanout.progress.planned(plan, fanout.gate.paused);
  if (plan.outcome !== undefined) {
    fanout.progress.copied(plan.outcome, plan.chunks);
    fanout.progress.committed(plan.outcome.partitions);
    return { plan, result: plan.outcome };
  }
  context.visibility.show('copying');
  const shared = await copied(context, run, plan);
  return { plan, result: await commit(context, run, plan, shared) };
}

/** @returns whether all chunks are of one moment, by a shared snapshot */
async function copied(
  { fanout, input, lender, part }: RunContext,
  run: RunIdentity,
  plan: PlanSummary,
): Promise<boolean> {
  // a single COPY is its own snapshot
  const shared = lender !== undefined || (input.consistency === 'snapshot' && plan.chunks > 1);
  if (lender !== undefined) {
    fanout.progress.set({ snapshotTakenAt: lender.takenAt });
    await copyPlan(fanout, plan, lender);
  } else if (shared) {
    const { companion } = shareConnections(input.maxSourceConnections, true);
    const { source, idleTimeout, maxSnapshotAge: maxAge } = input;
    const request = { source, runId: run.runId, maxAge, ...(idleTimeout !== undefined && { idleTimeout }) };
    await withSnapshot(request, companion && part?.sparing !== true, async (relay) => {
      fanout.progress.set({ snapshotTakenAt: (await relay.held()).snapshot.takenAt });
      await copyPlan(fanout, plan, relay);
    });
  } else {
    await copyPlan(fanout, plan, undefined);
  }
  return shared;
}

async function planned({ input, part, lender, fanout }: RunContext, run: RunIdentity): Promise<PlanSummary> {
  const mayFinish = lender === undefined && !fanout.gate.paused && input.maxBytesPerSecond === undefined;
  const plan = async (snapshot?: Snapshot) =>
    planExtraction.executeWithOptions({ activityId: 'plan', summary: formatTableName(input.table) }, [
      {
        ...run,
        input,
        ...(part !== undefined && { database: { runId: part.runId, member: part.member } }),
        ...(snapshot !== undefined && { snapshot }),
        ...(mayFinish && { mayFinish }),
      },
    ]);
  return lender === undefined ? plan() : lender.lend(plan);
}

async function commit(
  { fanout, visibility }: RunContext,
  run: RunIdentity,
  plan: PlanSummary,
  shared: boolean,
): Promise<RunOutcome> {
  for (;;) {
    await fanout.gate.opened();
    fanout.progress.set({ phase: 'committing' });
    visibility.show('committing');
    const result = await commitBronze.executeWithOptions({ activityId: 'commit', summary: plan.target }, [
      { planId: plan.planId, runId: run.runId, ...(plan.partitions.length > 1 && { tellPartitions: true }) },
    ]);
    if (result.outcome !== 'incomplete') {
      fanout.progress.committed(result.partitions);
      return result;
    }
    // chunks of another moment must not join those of a snapshot that is gone
    if (shared) throw ofKind('StagingLost', `The ledger lacks ${result.missing.length} chunks`);
    const spans = result.missing.map((from) => ({ from, count: 1 }));
    await copyThese(fanout, plan, spans, undefined);
  }
}

async function leaveNothing(
  { fanout, visibility, part, input }: RunContext,
  run: RunIdentity,
  error: unknown,
): Promise<void> {
  const status = isCancellation(error) ? 'cancelled' : 'failed';
  const discard = fanout.progress.now.chunks === 0 ? discardUnplanned : discardStaging;
  fanout.progress.set({ phase: status });
  visibility.show(status);
  try {
    await CancellationScope.nonCancellable(async () =>
      discard({
        ...run,
        outcome: { status, message: messageOf(error) },
        ...(part !== undefined && { member: { databaseRunId: part.runId, input } }),
      }),
    );
  } catch (discarding) {
    log.warn('the staging table could not be dropped', { reason: messageOf(discarding) });
  }
}
