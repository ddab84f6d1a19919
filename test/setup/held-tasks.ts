import type { WorkflowHandle } from '@temporalio/client';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { withResolvers } from './with-resolvers.ts';

const MARK = 'holds up the task';

const has = (payloads: readonly Payload[], text: string): boolean =>
  payloads.some(({ data }) => data != null && Buffer.from(data).includes(text));

/** Holds up workflow tasks of a run: what happens in the meantime, it hears of only afterwards, all at once. */
export class HeldTasks implements PayloadCodec {
  readonly #held = withResolvers();
  readonly #released = withResolvers();
  readonly #onCommand: { readonly text: string; readonly act: () => Promise<void> } | undefined;
  #acted = false;

  /** @param onCommand what to do before the first command with this text leaves the worker */
  constructor(onCommand?: { readonly text: string; readonly act: () => Promise<void> }) {
    this.#onCommand = onCommand;
  }

  /** Sends the run a signal that it ignores, and whose task is held up. */
  static async send(handle: WorkflowHandle): Promise<void> {
    await handle.signal('snapshotExported', { holder: MARK });
  }

  /** Waits until a task is held up. */
  async held(): Promise<void> {
    await this.#held.promise;
  }

  release(): void {
    this.#released.resolve();
  }

  async decode(payloads: Payload[]): Promise<Payload[]> {
    if (has(payloads, MARK)) {
      this.#held.resolve();
      await this.#released.promise;
    }
    return payloads;
  }

  async encode(payloads: Payload[]): Promise<Payload[]> {
    if (!this.#acted && this.#onCommand !== undefined && has(payloads, this.#onCommand.text)) {
      this.#acted = true;
      await this.#onCommand.act();
    }
    return payloads;
  }
}
