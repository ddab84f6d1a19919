import { listed } from '../contract/listed.ts';
import { formatDuration } from '../contract/quantities.ts';

/** The right to use one session. */
export interface Slot {
  free(): void;
}

interface Taken {
  readonly holder: string;
  readonly since: number;
}

/** Maximum number of holders that a message names. */
const MOST_HOLDERS = 5;

/** A limited number of slots, handed out in the order of the requests. */
export class Slots {
  readonly count: number;
  readonly #timeout: number;
  readonly #taken = new Set<Taken>();
  readonly #waiting: (() => void)[] = [];

  /** @param timeout how long a request waits for a slot, in milliseconds */
  constructor(count: number, timeout: number) {
    this.count = count;
    this.#timeout = timeout;
  }

  /** How long a request waits, for display. */
  get patience(): string {
    return formatDuration(this.#timeout);
  }

  /** Returns a slot, or undefined if none became free in time. Rejects if the signal aborts first. */
  async take(holder: string, signal?: AbortSignal): Promise<Slot | undefined> {
    signal?.throwIfAborted();
    if (this.#taken.size < this.count) return this.#occupy(holder);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        const place = this.#waiting.indexOf(proceed);
        if (place !== -1) this.#waiting.splice(place, 1);
      };
      const proceed = (): void => {
        end();
        resolve(this.#occupy(holder));
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

  /** Describes who holds the slots: `3 by datakit-postgres-extractor/… for up to 12.0 s`. */
  holders(): string {
    const byHolder = new Map<string, Taken[]>();
    for (const taken of this.#taken) {
      byHolder.set(taken.holder, [...(byHolder.get(taken.holder) ?? []), taken]);
    }
    const told = [...byHolder].map(([holder, places]) => {
      const longest = Date.now() - Math.min(...places.map(({ since }) => since));
      return `${places.length} by ${holder} for up to ${formatDuration(longest)}`;
    });
    return listed(told, MOST_HOLDERS);
  }

  #occupy(holder: string): Slot {
    const taken: Taken = { holder, since: Date.now() };
    this.#taken.add(taken);
    return {
      free: () => {
        if (this.#taken.delete(taken)) this.#waiting[0]?.();
      },
    };
  }
}
