import { condition, isCancellation, log, setHandler, sleep } from '@temporalio/workflow';
import { messageOf } from './failure.ts';
import { pauseSignal, resumeSignal } from './messages.ts';

/** Before a report that failed is made again. */
const PAUSE = '1 minute';

/** A gate for new work: people close it with `pause` and open it with `resume`. */
export class PauseGate {
  #paused: boolean;

  /** @param paused whether it starts closed */
  constructor(paused = false) {
    this.#paused = paused;
  }

  /**
   * Listens to people. Whoever sent something before the workflow began is heard at once, within this call.
   *
   * @param onChange called when the gate is closed or opened
   */
  listen(onChange: (paused: boolean) => void = () => undefined): void {
    const set = (paused: boolean) => {
      if (paused === this.#paused) return;
      this.#paused = paused;
      onChange(paused);
    };
    setHandler(pauseSignal, () => set(true), {
      description: 'Starts nothing new until resume; what is under way is finished.',
    });
    setHandler(resumeSignal, () => set(false), { description: 'Ends a pause.' });
  }

  get paused(): boolean {
    return this.#paused;
  }

  async opened(): Promise<void> {
    if (this.#paused) await condition(() => !this.#paused);
  }

  /**
   * Reports every change, one after the other; of several during a report only the latest. A report that failed may
   * have arrived in part, and is made again. Ends by cancellation.
   */
  async tell(tellAll: (paused: boolean) => Promise<void>): Promise<never> {
    for (let told: boolean | undefined = false; ;) {
      await condition(() => this.#paused !== told);
      told = this.#paused;
      try {
        await tellAll(told);
      } catch (error) {
        if (isCancellation(error)) throw error;
        log.warn('a pause or its end could not be told', { reason: messageOf(error) });
        await sleep(PAUSE);
        told = undefined;
      }
    }
  }
}
