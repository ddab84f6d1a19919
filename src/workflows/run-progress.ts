import { setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { Copied } from '../contract/activities.ts';
import type { Progress } from '../contract/progress.ts';
import { progressDetails } from './details.ts';
import { progressQuery } from './messages.ts';

/** What a run has done so far, kept where the query and the Web UI find it. */
export class RunProgress {
  #now: Progress;

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
    this.set({
      rows: this.#now.rows + rows,
      bytes: this.#now.bytes + bytes,
      chunksDone: this.#now.chunksDone + chunks,
    });
  }
}
