import { listed } from '../contract/listed.ts';
import { formatDuration } from '../contract/quantities.ts';

/** Given to a holder, who releases it. */
export interface Permit {
  release(): void;
}

interface Held {
  readonly holder: string;
  readonly since: number;
}

/** Maximum number of holders that a message names. */
const MOST_HOLDERS = 5;

/** A semaphore: a limited number of permits, given out in the order of the requests. It knows who holds them. */
export class Semaphore {
  readonly count: number;
  readonly #timeout: number;
  readonly #held = new Set<Held>();
  readonly #waiting: (() => void)[] = [];

  /** @param timeout how long a request waits for a permit, in milliseconds */
  constructor(count: number, timeout: number) {
    this.count = count;
    this.#timeout = timeout;
  }

  /** How long a request waits, for display. */
  get patience(): string {
    return formatDuration(this.#timeout);
  }

  /** Returns a permit, or undefined if none became free in time. Rejects if the signal aborts first. */
  async acquire(holder: string, signal?: AbortSignal): Promise<Permit | undefined> {
    signal?.throwIfAborted();
    if (this.#held.size < this.count) return this.#give(holder);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        const place = this.#waiting.indexOf(proceed);
        if (place !== -1) this.#waiting.splice(place, 1);
      };
      const proceed = (): void => {
        end();
        resolve(this.#give(holder));
      };
      const abort = (): void => {
        end();
        reject(signal?.reason);
      };
      const timer = setTimeout(() => {
        end();
        resolve(undefined);
      }, this.#timeout);
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(proceed);
    });
  }

  /** Describes who holds the permits: `3 by datakit-postgres-extractor/… for up to 12.0 s`. */
  holders(): string {
    const byHolder = new Map<string, Held[]>();
    for (const held of this.#held) {
      byHolder.set(held.holder, [...(byHolder.get(held.holder) ?? []), held]);
    }
    const told = [...byHolder].map(([holder, permits]) => {
      const longest = performance.now() - Math.min(...permits.map(({ since }) => since));
      return `${permits.length} by ${holder} for up to ${formatDuration(longest)}`;
    });
    return listed(told, MOST_HOLDERS);
  }

  #give(holder: string): Permit {
    const held: Held = { holder, since: performance.now() };
    this.#held.add(held);
    return {
      release: () => {
        if (this.#held.delete(held)) this.#waiting[0]?.();
      },
    };
  }
}
