import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Lab } from '../setup/lab.ts';

/** Returns a generator of reproducible pseudo-random numbers. */
export function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Work to do in a transaction of its own. */
export type Work = (session: Client, random: (below: number) => number) => Promise<void>;

export interface WriterOptions {
  readonly sessions: number;
  /** Longest pause in milliseconds between work and commit, during which others overtake it. */
  readonly longestPause: number;
  readonly work: Work;
}

/** Several concurrent sessions whose transactions commit after others that began later. */
export class OutOfOrderWriter {
  readonly #stopping = new AbortController();
  readonly #running: Promise<number>[];

  private constructor(sessions: readonly Client[], options: WriterOptions) {
    this.#running = sessions.map(async (session, index) => this.#write(session, seeded(index + 1), options));
  }

  static async start(lab: Lab, options: WriterOptions): Promise<OutOfOrderWriter> {
    const sessions = await Promise.all(
      Array.from({ length: options.sessions }, async () => lab.connect('source')),
    );
    return new OutOfOrderWriter(sessions, options);
  }

  /** Waits until every transaction has committed, and returns their number. */
  async stop(): Promise<number> {
    this.#stopping.abort();
    const counts = await Promise.all(this.#running);
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #write(
    session: Client,
    random: (below: number) => number,
    { longestPause, work }: WriterOptions,
  ): Promise<number> {
    let count = 0;
    while (!this.#stopping.signal.aborted) {
      await session.query('BEGIN');
      await sleep(random(longestPause / 4));
      await work(session, random);
      await sleep(random(longestPause));
      await session.query(random(10) === 0 ? 'ROLLBACK' : 'COMMIT');
      count += 1;
    }
    return count;
  }
}
