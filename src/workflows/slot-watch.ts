import { CancellationScope, isCancellation, log, sleep } from '@temporalio/workflow';
import type { CaptureChangesInput } from '../contract/capture-changes.ts';
import { withAdvice } from '../contract/failures.ts';
import { formatBytes } from '../contract/quantities.ts';
import { checkSlot, dropSlot } from './activities.ts';
import type { CaptureProgress } from './capture-progress.ts';
import { messageOf, ofKind } from './failure.ts';

/** How often the slot is checked while no stream does so, with and without a limit for it. */
const CHECK_INTERVAL = { limited: 60_000, unlimited: 15 * 60_000 };

export interface SlotOwner {
  /** Called when added tables should not be copied, or should be again. */
  readonly pauseCopies: (paused: boolean) => void;
  /** Drops the capture; the slot is gone by then. */
  readonly drop: () => Promise<void>;
}

/** Watches how much write-ahead log a slot holds back on the source, and does what the input wants of too much. */
export class SlotWatch {
  readonly #input: CaptureChangesInput;
  readonly #runId: string;
  readonly #progress: CaptureProgress;
  readonly #owner: SlotOwner;

  constructor(input: CaptureChangesInput, runId: string, progress: CaptureProgress, owner: SlotOwner) {
    this.#input = input;
    this.#runId = runId;
    this.#progress = progress;
    this.#owner = owner;
  }

  /** Checks the slot now and then while something other than streaming goes on. */
  async during(work: () => Promise<void>): Promise<void> {
    const watch = new CancellationScope();
    const working = new CancellationScope();
    let exceeded = false;
    const watching = watch.run(async () => {
      const { maxSlotLag } = this.#input;
      do {
        await sleep(maxSlotLag === undefined ? CHECK_INTERVAL.unlimited : CHECK_INTERVAL.limited);
      } while (!(await this.#isToBeDropped()));
      exceeded = true;
      working.cancel();
    });
    watching.catch(() => undefined); // cancelled below
    try {
      await working.run(work);
    } catch (error) {
      if (exceeded) throw await this.drop(this.#progress.now.slotLagBytes ?? 0);
      throw error;
    } finally {
      watch.cancel();
    }
  }

  /** Checks the slot once. @throws if it had to be dropped */
  async check(): Promise<void> {
    if (await this.#isToBeDropped()) throw await this.drop(this.#progress.now.slotLagBytes ?? 0);
  }

  /** Applies `onSlotLag` to this many bytes. @returns true if the slot is to be dropped */
  heed(bytes: number): boolean {
    const { maxSlotLag, onSlotLag, slot } = this.#input;
    if (maxSlotLag === undefined) return false;
    const exceeded = bytes > maxSlotLag;
    if (onSlotLag === 'pause') this.#owner.pauseCopies(exceeded);
    if (!exceeded) return false;
    log.warn('the slot holds back more than it may', { slot, bytes, maxSlotLag, onSlotLag });
    this.#progress.warn([
      `The slot has held back more than ${formatBytes(maxSlotLag)} of the log of the source ("maxSlotLag").`,
    ]);
    return onSlotLag === 'drop';
  }

  /**
   * Drops the slot first, whatever becomes of the rest: the warehouse may be unavailable, and be the reason.
   *
   * @returns the failure of the capture
   */
  async drop(bytes: number): Promise<unknown> {
    const { slot, source, maxSlotLag = 0 } = this.#input;
    await dropSlot({ slot, source, runId: this.#runId });
    const message = `The slot "${slot}" held back ${formatBytes(bytes)} of the log of the source, more than ${formatBytes(maxSlotLag)}, and was dropped as "onSlotLag" says`;
    try {
      await this.#owner.drop();
      return ofKind('SlotLagExceeded', withAdvice('SlotLagExceeded', message));
    } catch (error) {
      const left = `${message}. What is known of it in the warehouse is still there (${messageOf(error)}): run dropCapture`;
      return ofKind('SlotLagExceeded', withAdvice('SlotLagExceeded', left));
    }
  }

  /** Asks the source how much the slot holds back; if it cannot answer now, it is asked again later. */
  async #isToBeDropped(): Promise<boolean> {
    const { slot, source } = this.#input;
    try {
      const slotLagBytes = await checkSlot({ slot, source, runId: this.#runId });
      this.#progress.set({ slotLagBytes });
      return this.heed(slotLagBytes);
    } catch (error) {
      if (isCancellation(error)) throw error;
      log.warn('the slot could not be checked', { reason: messageOf(error) });
      return false;
    }
  }
}
