import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  log,
  patched,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { RunIdentity } from '../contract/run-identity.ts';
import {
  referenceOf,
  type CapturedTable,
  type PreparedCapture,
  type StreamOutcome,
} from '../contract/capture-activities.ts';
import {
  captureChangesExample,
  captureChangesInput,
  isStreamProgress,
  type CaptureChangesInput,
  type CaptureChangesRequest,
  type CaptureChangesResult,
  type StreamProgress,
} from '../contract/capture-changes.ts';
import { parseInput } from '../contract/parse-input.ts';
import { schemasAndTables } from '../contract/schema-or-table.ts';
import type { TableName } from '../contract/table-name.ts';
import { beginStreaming, changeTables, dropCapture, prepareCapture, streamChanges } from './activities.ts';
import { MOST_RESTARTS, pauseAfter } from './begin-again.ts';
import { CaptureCopies } from './capture-copies.ts';
import { CaptureProgress } from './capture-progress.ts';
import { CapturedTables } from './captured-tables.ts';
import { checked, requireOneInput } from './checked-input.ts';
import { PauseGate } from './pause-gate.ts';
import { asRunFailure, canBeginAgain, isPassing, messageOf } from './failure.ts';
import { hear } from './hear.ts';
import { isHistoryLong } from './long-history.ts';
import { addTablesUpdate, removeTablesUpdate, streamProgressSignal } from './messages.ts';
import { SlotWatch } from './slot-watch.ts';

/** How long an attempt streams: long enough for few history events, short enough to drain workers within the hour. */
const STREAM_FOR = 30 * 60_000;
/** Pause before streaming is tried again, when all attempts of an activity were in vain. */
const PAUSE = 30_000;

type Written = Pick<StreamProgress, 'transactions' | 'changes'>;

/** State carried over by continue-as-new. */
export interface CarriedCapture {
  readonly startedAt: number;
  readonly untilPosition?: string;
  /** What the capture had written before the first of these histories, and what it has written since. */
  readonly before: Written;
  readonly written: Written;
  readonly copiedRows: number;
  readonly paused: boolean;
  readonly warnings: readonly string[];
  /** What is shown until the capture is prepared; absent from earlier versions. */
  readonly tables?: readonly CapturedTable[];
  /** Tables whose copies are not tried again until somebody asks; absent from earlier versions. */
  readonly givenUp?: readonly TableName[];
}

/** Captures changes of a source's tables: copies the tables once, then writes every committed change, for ever. */
export async function captureChanges(
  request: CaptureChangesRequest,
  carried?: CarriedCapture,
): Promise<CaptureChangesResult> {
  requireOneInput(carried, (own) => 'startedAt' in own);
  const input = checked(() => parseInput(captureChangesInput, request, captureChangesExample));
  const capture = new Capture(request, input, carried);
  try {
    return await capture.run();
  } catch (error) {
    await capture.leave(error);
    throw asRunFailure(error);
  }
}

function requireTables(tables: unknown): void {
  parseInput(schemasAndTables, tables, captureChangesExample.tables);
}

class Capture {
  readonly #request: CaptureChangesRequest;
  readonly #input: CaptureChangesInput;
  readonly #run: RunIdentity;
  readonly #progress: CaptureProgress;
  readonly #startedAt: number;
  #untilPosition: string | undefined;
  #captureId: string | undefined;
  readonly #tables: CapturedTables;
  readonly #slot: SlotWatch;
  readonly #gate: PauseGate;
  readonly #copies: CaptureCopies;
  #streams = false;
  /** True while tables are added or removed. */
  #changing = false;
  /** What the capture had written before this workflow. */
  #before: Written;

  constructor(
    request: CaptureChangesRequest,
    input: CaptureChangesInput,
    carried: CarriedCapture | undefined,
  ) {
    const { firstExecutionRunId: runId, workflowId } = workflowInfo();
    this.#request = request;
    this.#input = input;
    this.#run = { runId, workflowId };
    this.#progress = new CaptureProgress(input);
    this.#tables = new CapturedTables(() => this.#progress.setTables(this.#tables));
    this.#gate = new PauseGate(carried?.paused);
    this.#copies = new CaptureCopies({
      input,
      run: this.#run,
      tables: this.#tables,
      progress: this.#progress,
      gate: this.#gate,
    });
    this.#slot = new SlotWatch(input, runId, this.#progress, {
      pauseCopies: (paused) => {
        if (this.#streams) void this.#copies.pause(paused);
      },
      drop: async () => this.#drop(),
    });
    this.#streams = carried !== undefined;
    this.#startedAt = carried?.startedAt ?? Date.now();
    this.#untilPosition = carried?.untilPosition;
    this.#before = carried?.before ?? { transactions: 0, changes: 0 };
    this.#progress.set({
      copiedRows: carried?.copiedRows ?? 0,
      warnings: carried?.warnings ?? [],
      ...carried?.written,
    });
    this.#tables.set(carried?.tables ?? []);
    this.#tables.giveUp(carried?.givenUp ?? []);
    this.#listen();
  }

  async run(): Promise<CaptureChangesResult> {
    const { logEnd, captureId } = await this.#begin();
    if (this.#input.until === 'caught-up') this.#untilPosition ??= logEnd;
    this.#streams = true;
    void this.#copies.copyAdded(captureId).catch(() => undefined); // ends with the workflow
    for (;;) {
      if (this.#canBeginAnew) await this.#beginAnew();
      if (this.#gate.paused) {
        await this.#wait();
        continue;
      }
      const outcome = await this.#stream();
      if (outcome === undefined) continue;
      if (outcome.reason === 'slot lag') throw await this.#slot.drop(outcome.slotLagBytes);
      const ended = this.#endedBy(outcome);
      if (ended !== undefined) return await this.#result(ended, outcome.position);
    }
  }

  /** Drops the slot if the first copy did not finish: it would be of no use, and hold back the source's log. */
  async leave(error: unknown): Promise<void> {
    const copying = this.#captureId !== undefined && !this.#streams;
    this.#progress.set({ phase: isCancellation(error) ? 'cancelled' : 'failed' });
    if (!copying) return;
    try {
      await CancellationScope.nonCancellable(async () => this.#drop());
    } catch (dropping) {
      log.warn('the slot could not be dropped', { reason: messageOf(dropping) });
    }
  }

  #listen(): void {
    this.#gate.listen();
    const told = (progress: StreamProgress) => {
      this.#progress.streaming(this.#sinceBefore(progress));
      this.#slot.heed(progress.slotLagBytes);
    };
    const description = 'Internal, from the activity streamChanges. Use the query status.';
    hear(streamProgressSignal, isStreamProgress, told, description);
    const validator = requireTables;
    setHandler(addTablesUpdate, async (tables) => this.#change('add', tables), {
      validator,
      description: 'Captures further tables, and answers with all tables of the capture.',
    });
    setHandler(removeTablesUpdate, async (tables) => this.#change('remove', tables), {
      validator,
      description: 'Captures some tables no longer, and answers with those that are left.',
    });
  }

  /** Gets to where changes can be streamed; starts over if the slot's snapshot is lost before the copy is done. */
  async #begin(): Promise<PreparedCapture> {
    for (let restarts = 0; ; restarts += 1) {
      const prepared = await this.#prepare(restarts);
      this.#captureId = prepared.captureId;
      if (!this.#streams) this.#before = prepared.written;
      this.#tables.set(prepared.tables);
      this.#tables.mark(prepared.copyWanted ?? [], true);
      this.#progress.warn(prepared.warnings);
      this.#progress.list(prepared.searchAttributes);
      if (prepared.outcome === 'resume') {
        this.#streams = true;
        return prepared;
      }
      try {
        this.#progress.set({ phase: 'copying', copiedRows: 0 });
        await this.#slot.during(async () => this.#copies.copyFirst(prepared.captureId));
        await beginStreaming.executeWithOptions({ activityId: 'begin-streaming' }, [
          { ...this.#run, ...referenceOf(prepared.captureId, this.#input) },
        ]);
        return prepared;
      } catch (error) {
        if (!canBeginAgain(error) || restarts === MOST_RESTARTS) throw error;
        log.warn('the first copy begins again on a new slot', { reason: messageOf(error) });
        this.#progress.warn(['The snapshot of the slot was lost: the first copy began again on a new one.']);
        await sleep(pauseAfter(restarts));
      }
    }
  }

  /** Prepares the capture. One that was streaming before waits out what passes, as it does while it streams. */
  async #prepare(restarts: number): Promise<PreparedCapture> {
    for (;;) {
      try {
        return await prepareCapture.executeWithOptions({ activityId: `prepare-${restarts}` }, [
          {
            ...this.#run,
            input: this.#input,
            ...((restarts > 0 || this.#streams) && { goesOn: true as const }),
          },
        ]);
      } catch (error) {
        if (!this.#streams || !isPassing(error)) throw error;
        await this.#waitFor(error);
      }
    }
  }

  /** Streams until the attempt is over or is paused; undefined if it has to be tried again. */
  async #stream(): Promise<StreamOutcome | undefined> {
    const scope = new CancellationScope();
    void condition(() => this.#gate.paused || (this.#copies.leavesHistory && this.#canBeginAnew))
      .then(() => scope.cancel())
      .catch(() => undefined);
    this.#progress.set({ phase: 'streaming' });
    try {
      const outcome = await scope.run(async () =>
        streamChanges({
          ...this.#run,
          captureId: this.#captureId ?? '',
          input: this.#input,
          duration: this.#timeLeft(),
          ...(this.#untilPosition !== undefined && { untilPosition: this.#untilPosition }),
          // a copy that takes days keeps it from beginning anew
          ...(isHistoryLong() && { tellRarely: true as const }),
        }),
      );
      const { reason: _reason, warnings, copyWanted, ...progress } = outcome;
      this.#tables.mark(copyWanted, true);
      this.#progress.streaming(this.#sinceBefore(progress));
      this.#progress.warn(warnings);
      return outcome;
    } catch (error) {
      // the gate may be open again by now
      const left = scope.consideredCancelled && !CancellationScope.current().consideredCancelled;
      if (isCancellation(error) && left) return undefined;
      if (!isPassing(error)) throw error;
      await this.#waitFor(error);
      return undefined;
    }
  }

  /** Waits for a passing failure. Nobody reads from the slot in the meantime. */
  async #waitFor(error: unknown): Promise<void> {
    log.warn('waits before the next attempt', { reason: messageOf(error) });
    this.#progress.set({ phase: 'waiting', trouble: messageOf(error) });
    await sleep(PAUSE);
    await this.#slot.check();
  }

  /** A stream counts all that its capture ever wrote, so that nothing is missing when an attempt is lost. */
  #sinceBefore(progress: StreamProgress): StreamProgress {
    const { transactions, changes } = this.#before;
    return {
      ...progress,
      transactions: progress.transactions - transactions,
      changes: progress.changes - changes,
    };
  }

  #timeLeft(): number {
    const { until } = this.#input;
    if (typeof until !== 'number') return STREAM_FOR;
    return Math.max(1_000, Math.min(STREAM_FOR, this.#startedAt + until - Date.now()));
  }

  #endedBy({ reason }: StreamOutcome): CaptureChangesResult['outcome'] | undefined {
    const { until } = this.#input;
    if (reason === 'caught up') return 'caught up';
    return typeof until === 'number' && Date.now() >= this.#startedAt + until ? 'time is up' : undefined;
  }

  async #result(outcome: CaptureChangesResult['outcome'], position: string): Promise<CaptureChangesResult> {
    const isDone = () =>
      !this.#copies.copiesAdded && this.#tables.copying.length === 0 && allHandlersFinished();
    await condition(() => isDone() || this.#canBeginAnew);
    if (!isDone()) await this.#beginAnew();
    this.#progress.set({ phase: 'done' });
    const { tables, copiedRows, warnings, transactions, changes } = this.#progress.now;
    const { slot, publication } = this.#input;
    return { slot, publication, outcome, position, transactions, changes, tables, copiedRows, warnings };
  }

  /** Waits while paused: nothing is read, and the source keeps its log. */
  async #wait(): Promise<void> {
    this.#progress.set({ phase: 'paused' });
    await this.#slot.during(async () => condition(() => !this.#gate.paused || this.#canBeginAnew));
  }

  async #drop(): Promise<void> {
    const { slot, source, publication } = this.#input;
    const captureId = this.#captureId;
    await dropCapture.executeWithOptions({ activityId: 'drop' }, [
      { ...this.#run, slot, source, publication, ...(captureId !== undefined && { captureId }) },
    ]);
    this.#captureId = undefined;
  }

  async #change(
    change: 'add' | 'remove',
    wanted: CaptureChangesRequest['tables'],
  ): Promise<readonly string[]> {
    const tables = parseInput(schemasAndTables, wanted, captureChangesExample.tables);
    // of two at once, the answer to the earlier could come last, and lacks the tables of the later
    const inTurn = patched('tables-change-in-turn');
    const isReady = () =>
      this.#streams &&
      this.#captureId !== undefined &&
      (change === 'add' || !this.#copies.copiesAdded) &&
      !(inTurn && this.#changing);
    // of several that waited, another may have begun at once
    const isOvertaken = () => inTurn && !isReady();
    do await condition(isReady);
    while (isOvertaken());
    this.#changing = true;
    try {
      const changed = await changeTables.executeWithOptions({ summary: `${change} tables` }, [
        { ...this.#run, captureId: this.#captureId ?? '', input: this.#input, change, tables },
      ]);
      if (change === 'add') this.#tables.askFor(tables);
      this.#tables.set(changed);
    } catch (error) {
      throw asRunFailure(error);
    } finally {
      this.#changing = false;
    }
    return this.#progress.now.tables;
  }

  /** True if the history is long and no work under way would be left behind: copies and updates. */
  get #canBeginAnew(): boolean {
    const isCopying =
      this.#copies.copiesAdded || (this.#tables.copying.length > 0 && !this.#copies.leavesHistory);
    return isHistoryLong() && !isCopying && allHandlersFinished();
  }

  async #beginAnew(): Promise<void> {
    const { copiedRows, warnings, transactions, changes } = this.#progress.now;
    await continueAsNew<typeof captureChanges>(this.#request, {
      startedAt: this.#startedAt,
      before: this.#before,
      written: { transactions, changes },
      paused: this.#gate.paused,
      copiedRows,
      warnings,
      tables: this.#tables.all,
      givenUp: this.#tables.givenUp,
      ...(this.#untilPosition !== undefined && { untilPosition: this.#untilPosition }),
    });
  }
}
