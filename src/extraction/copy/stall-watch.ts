import { DatakitError } from '../../contract/failures.ts';
import { formatDuration } from '../../contract/quantities.ts';

/**
 * Aborts a copy that makes no progress. A heartbeat only shows that the worker is alive: beside a hung copy it would
 * go on indefinitely.
 */
export class StallWatch {
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout;

  constructor(timeout: number) {
    this.#timer = setTimeout(() => {
      this.#controller.abort(
        new DatakitError(
          'Stalled',
          `nothing has passed between source and warehouse for ${formatDuration(timeout)}`,
        ),
      );
    }, timeout);
  }

  /** Aborts with the failure as its reason. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Must be called on any progress. */
  readonly passed = (): void => {
    this.#timer.refresh();
  };

  close(): void {
    clearTimeout(this.#timer);
  }
}
