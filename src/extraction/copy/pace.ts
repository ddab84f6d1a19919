import { setTimeout as sleep } from 'node:timers/promises';

/** What may pass at once after a pause, as time: small enough that nobody notices bursts. */
const BURST = 200;

/** Lets no more bytes pass than so many in a second, over any second or more. */
export class Pace {
  readonly #millisecondsPerByte: number;
  #due = 0;
  #passed = 0;
  #chunk = -1;

  constructor(bytesPerSecond: number) {
    this.#millisecondsPerByte = 1000 / bytesPerSecond;
  }

  /** @param bytes those of this chunk that have passed so far; resolves when more may */
  async passed(chunk: number, bytes: number, signal: AbortSignal): Promise<void> {
    const more = chunk === this.#chunk ? bytes - this.#passed : bytes;
    this.#chunk = chunk;
    this.#passed = bytes;
    const now = performance.now();
    this.#due = Math.max(this.#due, now - BURST) + more * this.#millisecondsPerByte;
    if (this.#due > now) await sleep(this.#due - now, undefined, { signal });
  }
}
