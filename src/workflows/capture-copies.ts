import { condition, isCancellation, patched, sleep } from '@temporalio/workflow';
import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import { listed } from '../contract/listed.ts';
import type { RunIdentity } from '../contract/run-identity.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { pauseAfter } from './begin-again.ts';
import type { CaptureProgress } from './capture-progress.ts';
import type { CapturedTables } from './captured-tables.ts';
import { copyCaptured, type CopyRound } from './copy-captured.ts';
import { captureFanout } from './copy-captured-table.ts';
import { resizeFanout, type Fanout } from './copy-plan.ts';
import { canBeginAgain, isOfOneTable, isPassing, messageOf } from './failure.ts';
import { isHistoryLong } from './long-history.ts';
import type { PauseGate } from './pause-gate.ts';

/** What the copies of a capture belong to. */
export interface CopyingCapture {
  readonly input: CaptureChangesInput;
  readonly run: RunIdentity;
  readonly tables: CapturedTables;
  readonly progress: CaptureProgress;
  readonly gate: PauseGate;
}

/** Copies the tables of a capture: all before it streams, and while it does those that are added. */
export class CaptureCopies {
  readonly #capture: CopyingCapture;
  readonly #fanout: Fanout;
  #copiesAdded = false;
  #leavesHistory = false;

  constructor(capture: CopyingCapture) {
    const { input, gate, progress } = capture;
    this.#capture = capture;
    this.#fanout = captureFanout(input.parallelism, gate, (copied) => progress.copied(copied));
  }

  /** True while added tables are being copied. */
  get copiesAdded(): boolean {
    return this.#copiesAdded;
  }

  /** True once the next round of copies is left to the next history. */
  get leavesHistory(): boolean {
    return this.#leavesHistory;
  }

  /** Begins no other copy, or as many at once as the input says. */
  async pause(paused: boolean): Promise<void> {
    const width = paused ? 0 : this.#capture.input.parallelism;
    if (width !== this.#fanout.window.width) await resizeFanout(this.#fanout, width);
  }

  /** Copies all tables on the snapshot of the slot. @throws if none could be, or for what concerns all of them */
  async copyFirst(captureId: string): Promise<void> {
    const goesOnWithout: CopyRound['goesOnWithout'] = (table, error) => this.#streamsWithout(table, error);
    await copyCaptured(this.#fanout, this.#round(captureId, 'permanent', goesOnWithout));
  }

  /** Returns whether changes can be streamed although the first copy of a table failed. */
  #streamsWithout(table: TableName, error: unknown): boolean {
    const { progress, tables } = this.#capture;
    const name = formatTableName(table);
    if (canBeginAgain(error)) {
      const what = 'changed before the first copy came to it: it is copied while changes stream.';
      progress.warn([`${name} ${what}`]);
      return true;
    }
    // in earlier versions a first copy that failed for one table was lost for all
    if (!isOfOneTable(error) || !patched('first-copy-goes-on-without-a-table')) return false;
    if (isPassing(error)) {
      progress.warn([`${name} is copied while changes stream, since it failed: ${messageOf(error)}`]);
      return true;
    }
    this.#giveUp([table], error);
    return tables.givenUp.length < tables.all.length;
  }

  /** Copies added tables while the stream goes on, until the history is long. */
  async copyAdded(captureId: string): Promise<void> {
    const { tables } = this.#capture;
    for (let restarts = 0; ;) {
      await condition(() => tables.copying.length > 0);
      // rounds would otherwise fill the history, and the server then ends the workflow
      const leaving = restarts > 0 ? 'rounds-leave-their-history' : 'all-rounds-leave-their-history';
      if (isHistoryLong() && patched(leaving)) {
        this.#leavesHistory = true;
        return;
      }
      const round = await this.#copyRound(captureId, restarts);
      if (round === undefined) return;
      restarts = round.restarts;
      if (round.isLeft) await sleep(pauseAfter(restarts)); // a pause in which tables can be removed
    }
  }

  /**
   * Tries to copy each added table once.
   *
   * @returns whether a table is left to the next round, and how many in a row left one; undefined if cancelled
   */
  async #copyRound(
    captureId: string,
    restarts: number,
  ): Promise<{ readonly isLeft: boolean; readonly restarts: number } | undefined> {
    let isLeft = false;
    const goesOnWithout: CopyRound['goesOnWithout'] = (table, error) => {
      if (isForLater(error)) isLeft = true;
      else this.#giveUp([table], error);
      return true;
    };
    this.#copiesAdded = true;
    try {
      await copyCaptured(this.#fanout, this.#round(captureId, 'temporary', goesOnWithout));
      return { isLeft, restarts: isLeft ? restarts + 1 : 0 };
    } catch (error) {
      if (isCancellation(error)) return undefined;
      if (!isForLater(error)) {
        this.#giveUp(this.#capture.tables.copying, error);
        return { isLeft, restarts };
      }
      await sleep(pauseAfter(restarts + 1)).catch(() => undefined);
      return { isLeft, restarts: restarts + 1 };
    } finally {
      this.#copiesAdded = false;
    }
  }

  #round(captureId: string, slot: CopyRound['slot'], goesOnWithout: CopyRound['goesOnWithout']): CopyRound {
    const { input, run, tables, progress } = this.#capture;
    return {
      captureId,
      input,
      run,
      tables: tables.copying,
      slot,
      onCopied: (copied, warnings) => {
        progress.warn(warnings);
        tables.mark(copied, false);
      },
      goesOnWithout,
    };
  }

  #giveUp(given: readonly TableName[], error: unknown): void {
    const { progress, tables } = this.#capture;
    const names = listed(given.map(formatTableName), 5);
    progress.warn([`The copy of ${names} failed, and is given up: ${messageOf(error)}`]);
    // in earlier versions all that were given up were tried again with every change of the tables
    if (patched('given-up-until-asked-for')) tables.giveUp(given);
    else tables.mark(given, false);
  }
}

/** Returns true if what failed can be tried again in the next round. */
const isForLater = (error: unknown): boolean => canBeginAgain(error) || isPassing(error);
