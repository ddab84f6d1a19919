import { condition, setHandler } from '@temporalio/workflow';
import { pauseSignal, resumeSignal } from './messages.ts';

/** Whether new work may begin: people close it with `pause` and open it with `resume`. */
export class PauseGate {
  #paused: boolean;
  readonly #onChange: (paused: boolean) => void;

  /**
   * @param onChange called when it was closed or opened
   * @param paused whether it is closed now
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

  /** Tells of every change, one after the other, and of the latest where several came meanwhile. Ends by cancellation. */
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
