import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import type { Lab } from '../setup/lab.ts';

/** Numbers that look random and are the same every time. */
export function seeded(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Does a piece of work in a transaction of its own. */
export type Work = (session: Client, random: (below: number) => number) => Promise<void>;

export interface WriterOptions {
  readonly sessions: number;
  /** The longest that a transaction waits, after its work, before it is committed: others overtake it. */
  readonly longestPause: number;
  readonly work: Work;
}

/** Several sessions that write at once, each of whose transactions is committed when others that began later are. */
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

  /** Ends after every transaction was committed, and gives their number. */
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
