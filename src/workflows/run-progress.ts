import { setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { Copied, Observed } from '../contract/activities.ts';
import type { Progress } from '../contract/progress.ts';
import { progressDetails } from './details.ts';
import { progressQuery } from './messages.ts';

/** What a run has done so far, kept where the query and the Web UI find it. */
export class RunProgress {
  #now: Progress;
  /** What the activities that have ended said. */
  #returned = NOTHING;

  constructor(table: string, parallelism: number) {
    this.#now = {
      table,
      phase: 'planning',
      rows: 0,
      bytes: 0,
      chunksDone: 0,
      chunks: 0,
      parallelism,
      copyingSince: 0,
      restarts: 0,
    };
    setHandler(progressQuery, () => this.#now);
    this.set({});
  }

  get now(): Progress {
    return this.#now;
  }

  set(changes: Partial<Progress>): void {
    this.#now = { ...this.#now, ...changes };
    setCurrentDetails(progressDetails(this.#now, Date.now()));
  }

  copied({ rows, bytes }: Copied, chunks: number): void {
    this.#returned = {
      rows: this.#returned.rows + rows,
      bytes: this.#returned.bytes + bytes,
      chunksDone: this.#returned.chunksDone + chunks,
    };
    this.#advance(this.#returned);
  }

  /** What the ledger says, which knows of chunks before their activities end. */
  observed({ tables }: Observed): void {
    const table = tables.find((one) => one.table === this.#now.table);
    this.#advance(table ?? this.#returned);
  }

  pause(paused: boolean): void {
    const { phase } = this.#now;
    if (paused && phase === 'copying') this.set({ phase: 'paused' });
    else if (!paused && phase === 'paused') this.set({ phase: 'copying' });
    else this.set({});
  }

  beginAgain(restarts: number): void {
    this.#returned = NOTHING;
    this.set({ phase: 'planning', ...NOTHING, restarts });
  }

  #advance({ rows, bytes, chunksDone }: Done): void {
    const now = this.#now;
    this.set(chunksDone < now.chunksDone ? {} : { rows, bytes, chunksDone });
  }
}

type Done = Pick<Progress, 'rows' | 'bytes' | 'chunksDone'>;

const NOTHING: Done = { rows: 0, bytes: 0, chunksDone: 0 };
