import { DatakitError } from '../../contract/failures.ts';
import { formatDuration } from '../../contract/quantities.ts';

/**
 * Ends a copy through which nothing passes any more. A heartbeat only tells that the worker lives:
 * beside a hung copy it would go on for ever.
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

  /** To be called for whatever passes. */
  readonly passed = (): void => {
    this.#timer.refresh();
  };

  close(): void {
    clearTimeout(this.#timer);
  }
}
