import { setTimeout as sleep } from 'node:timers/promises';

/** Milliseconds' worth of bytes that may pass at once after a pause: a burst too short to notice. */
const BURST = 200;

/** Limits throughput to a number of bytes per second, apart from a short burst after a pause. */
export class Pace {
  readonly #millisecondsPerByte: number;
  #due = 0;
  #passed = 0;
  #chunk = -1;

  constructor(bytesPerSecond: number) {
    this.#millisecondsPerByte = 1000 / bytesPerSecond;
  }

  /** @param bytes of this chunk that have passed so far; resolves when more may */
  async passed(chunk: number, bytes: number, signal: AbortSignal): Promise<void> {
    const more = chunk === this.#chunk ? bytes - this.#passed : bytes;
    this.#chunk = chunk;
    this.#passed = bytes;
    const now = performance.now();
    this.#due = Math.max(this.#due, now - BURST) + more * this.#millisecondsPerByte;
    if (this.#due > now) await sleep(this.#due - now, undefined, { signal });
  }
}
