import { condition, setHandler } from '@temporalio/workflow';
import { pauseSignal, resumeSignal } from './messages.ts';

/** A gate for new work: people close it with `pause` and open it with `resume`. */
export class PauseGate {
  #paused: boolean;
  readonly #onChange: (paused: boolean) => void;

  /**
   * @param onChange called when the gate is closed or opened
   * @param paused whether it starts closed
   */
  constructor(onChange: (paused: boolean) => void, paused = false) {
    this.#onChange = onChange;
    this.#paused = paused;
    setHandler(pauseSignal, () => this.#set(true));
    setHandler(resumeSignal, () => this.#set(false));
  }

  get paused(): boolean {
    return this.#paused;
  }

  async opened(): Promise<void> {
    if (this.#paused) await condition(() => !this.#paused);
  }

  /** Reports every change, one after the other; of several during a report only the latest. Ends by cancellation. */
  async tell(told: (paused: boolean) => Promise<void>): Promise<never> {
    for (let last = false; ;) {
      await condition(() => this.#paused !== last);
      last = this.#paused;
      await told(last);
    }
  }

  #set(paused: boolean): void {
    if (paused === this.#paused) return;
    this.#paused = paused;
    this.#onChange(paused);
  }
}
