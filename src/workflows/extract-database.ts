import { CancellationScope, isCancellation, log, workflowInfo } from '@temporalio/workflow';
import type { RunIdentity } from '../contract/run-identity.ts';
import type { Snapshot } from '../contract/snapshot.ts';
import type { Member, ResolvedTables } from '../contract/database-activities.ts';
import {
  connectionsOf,
  parseDatabaseInput,
  type ExtractDatabaseInput,
  type ExtractDatabaseRequest,
  type ExtractDatabaseResult,
} from '../contract/extract-database.ts';
import { formatDuration } from '../contract/quantities.ts';
import { closeDatabaseRun, limitIncrements, readMembers, resolveTables } from './activities.ts';
import { withBeside } from './beside.ts';
import { checked, requireOneInput } from './checked-input.ts';
import { DatabaseRunState } from './database-run.ts';
import { pauseToBeginAgain } from './begin-again.ts';
import { asRunFailure, endOfRun, isSnapshotLost, messageOf, ofKind } from './failure.ts';
import { scheduledDatabaseInput } from './scheduled-input.ts';
import { withSnapshot } from './snapshot-relay.ts';
import { TableList } from './table-list.ts';
import { watchRun } from './watch-run.ts';

/** Limit for the lists in the result; the manifest has everything. */
const MOST_RESULTS = 100;

/** Limit for the tables that the failure of a run names. */
const MOST_NAMED = 5;

/** Extracts many tables of a source into bronze. */
export async function extractDatabase(
  request: ExtractDatabaseRequest,
  second?: unknown,
): Promise<ExtractDatabaseResult> {
  requireOneInput(second);
  const { input, request: written } = checked(() => parseDatabaseInput(scheduledDatabaseInput(request)));
  const { firstExecutionRunId: runId, workflowId } = workflowInfo();
  const identity: RunIdentity = { runId, workflowId };
  const state = new DatabaseRunState(identity, input, written);
  try {
    const resolved = await resolveTables.executeWithOptions({ activityId: 'tables' }, [
      { ...identity, request: written },
    ]);
    state.begin(new TableList(await listMembers(runId, resolved.count)), resolved.searchAttributes === true);
    await withBeside(
      async () => watchRun({ runId, partitions: false }, (observed) => state.observed(observed)),
      async () => extractWithRestarts(state, input, resolved),
    );
    requireEnough(state, input);
    const result = resultOf(state, resolved);
    await close(state, result.outcome, undefined);
    return result;
  } catch (thrown) {
    const error = endOfRun(thrown);
    const status = isCancellation(error) ? 'cancelled' : 'failed';
    await CancellationScope.nonCancellable(async () => close(state, status, messageOf(error))).catch(
      (closing: unknown) =>
        log.warn('the record of the run could not be closed', { reason: messageOf(closing) }),
    );
    throw asRunFailure(error);
  }
}

/** Reads page by page: the names of ten thousand tables are more than one payload should hold. */
async function listMembers(runId: string, count: number): Promise<Member[]> {
  const members: Member[] = [];
  while (members.length < count) {
    const page = await readMembers({ runId, from: members.length });
    if (page.length === 0) throw ofKind('StagingLost', 'The list of tables is gone from the warehouse');
    members.push(...page);
  }
  return members;
}

/** Extracts all tables again when their common snapshot is lost, so that all are of one moment. */
async function extractWithRestarts(
  state: DatabaseRunState,
  input: ExtractDatabaseInput,
  resolved: ResolvedTables,
): Promise<void> {
  if (input.consistency !== 'snapshot') return state.extractTables(undefined);
  for (let restarts = 0; ; restarts += 1) {
    try {
      return await onOneSnapshot(state, input, resolved);
    } catch (error) {
      if (!isSnapshotLost(error)) throw error;
      await pauseToBeginAgain(error, restarts);
      state.beginAgain(restarts + 1, messageOf(error));
    }
  }
}

async function onOneSnapshot(
  state: DatabaseRunState,
  input: ExtractDatabaseInput,
  { incremental }: ResolvedTables,
): Promise<void> {
  const { source } = input;
  const summary = incremental === 0 ? 'takes its place among the plans' : `bounds ${incremental} checkpoints`;
  await limitIncrements.executeWithOptions({ summary }, [
    { ...state.identity, source, ...(state.restarts > 0 && { skipped: state.skipped }) },
  ]);
  const request = { source, runId: state.identity.runId, maxAge: input.defaults?.maxSnapshotAge };
  await withSnapshot(request, connectionsOf(input).companion, async (relay) => {
    const { snapshot } = await relay.held();
    state.isOf(snapshot);
    const tell = async (next: Snapshot) => state.tellSnapshot(next);
    await withBeside(
      async () => relay.tell(snapshot, tell),
      async () => state.extractTables(relay),
    );
  });
}

/** Fails a run in which tables failed, if none was extracted or the input wants all of them. */
function requireEnough({ list }: DatabaseRunState, { onTableFailure }: ExtractDatabaseInput): void {
  const failed = list.in('failed');
  if (failed.length === 0) return;
  const some = list.in('committed').length + list.in('superseded').length > 0;
  if (some && onTableFailure !== 'fail-at-end') return;
  const named = failed.slice(0, MOST_NAMED).map(({ table, message }) => `${table}: ${message ?? 'failed'}`);
  if (failed.length > MOST_NAMED) named.push(`and ${failed.length - MOST_NAMED} more`);
  const all = list.tables.length;
  const howMany = failed.length === all && all > 1 ? `All ${all}` : `${failed.length} of ${all}`;
  throw ofKind('TablesFailed', `${howMany} tables failed. ${named.join('; ')}`);
}

function resultOf(state: DatabaseRunState, resolved: ResolvedTables): ExtractDatabaseResult {
  const { list, identity, snapshot, restarts, warnings } = state;
  const { committed, superseded, failed, skipped } = list.counts();
  const ordered = [...list.in('failed'), ...list.tables.filter(({ state: one }) => one !== 'failed')];
  return {
    runId: identity.runId,
    outcome: failed + skipped === 0 ? 'complete' : 'partial',
    tables: list.tables.length,
    committed,
    superseded,
    failed,
    skipped,
    ...list.total(),
    duration: formatDuration(Date.now() - workflowInfo().startTime.getTime()),
    ...(snapshot !== undefined && { snapshotTakenAt: snapshot.takenAt }),
    restarts,
    results: ordered.slice(0, MOST_RESULTS).map(({ table, state: outcome, rows, bytesCopied, message }) => ({
      table,
      outcome: outcome === 'waiting' || outcome === 'running' ? 'skipped' : outcome,
      rows,
      bytes: bytesCopied,
      ...(message !== undefined && { message }),
    })),
    newTables: resolved.newTables,
    vanishedTables: resolved.vanishedTables,
    warnings: warnings.slice(0, MOST_RESULTS),
  };
}

async function close(
  state: DatabaseRunState,
  status: 'complete' | 'partial' | 'failed' | 'cancelled',
  message: string | undefined,
): Promise<void> {
  const { list, snapshot, restarts, warnings } = state;
  const { committed, superseded, failed, skipped } = list.counts();
  state.close(status === 'complete' || status === 'partial' ? 'done' : status);
  await closeDatabaseRun({
    runId: state.identity.runId,
    status,
    committed,
    superseded,
    failed,
    skipped,
    ...list.total(),
    restarts,
    ...(snapshot !== undefined && { snapshot }),
    ...(message !== undefined && { message }),
    warnings: warnings.slice(0, MOST_RESULTS),
  });
}
