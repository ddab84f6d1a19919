import { setCurrentDetails, setHandler } from '@temporalio/workflow';
import type { Copied, Span } from '../contract/chunks.ts';
import type { CopiedPartitions, Observed } from '../contract/observed.ts';
import type { PlanSummary } from '../contract/plan-summary.ts';
import type { Progress } from '../contract/progress.ts';
import { progressDetails } from './details.ts';
import { PROGRESS_DESCRIPTION, progressQuery } from './messages.ts';
import { PartitionProgress } from './partition-progress.ts';

/** The progress of a run, kept where the query and the Web UI find it. */
export class RunProgress {
  #now: Progress;
  /** Totals of the activities that have ended. */
  #returned = NOTHING;
  #planId: string | undefined;
  #partitions = new PartitionProgress([]);

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
    setHandler(progressQuery, () => this.#now, { description: PROGRESS_DESCRIPTION });
    this.set({});
  }

  get now(): Progress {
    return this.#now;
  }

  set(changes: Partial<Progress>): void {
    const now = Date.now();
    const partitions = this.#partitions.shown(now);
    this.#now = { ...this.#now, ...changes, ...(partitions !== undefined && { partitions }) };
    setCurrentDetails(progressDetails(this.#now, now));
  }

  planned({ planId, partitions, chunks, checkpoint }: PlanSummary, paused: boolean): void {
    this.#planId = planId;
    this.#partitions = new PartitionProgress(partitions);
    this.set({
      phase: paused ? 'paused' : 'copying',
      chunks,
      copyingSince: Date.now(),
      ...(checkpoint !== undefined && { checkpoint }),
    });
  }

  /** @returns a function to call when the copy of the span has ended, however it ended */
  began(span: Span): () => void {
    const ended = this.#partitions.began(span);
    this.set({});
    return ended;
  }

  copied({ rows, bytes }: Copied, chunks: number): void {
    this.#returned = {
      rows: this.#returned.rows + rows,
      bytes: this.#returned.bytes + bytes,
      chunksDone: this.#returned.chunksDone + chunks,
    };
    this.#advance(this.#returned);
  }

  /** Records what the ledger reports, which knows of chunks before their activities end. */
  observed({ tables, partitions }: Observed): void {
    const table = tables.find(({ planId }) => planId === this.#planId);
    if (table !== undefined && partitions !== undefined) this.#partitions.observed(partitions);
    this.#advance(table ?? this.#returned);
  }

  /** Records the ledger's last report. */
  committed(partitions: CopiedPartitions | undefined): void {
    if (partitions !== undefined) this.#partitions.observed(partitions);
  }

  pause(paused: boolean): void {
    const { phase } = this.#now;
    if (paused && phase === 'copying') this.set({ phase: 'paused' });
    else if (!paused && phase === 'paused') this.set({ phase: 'copying' });
    else this.set({});
  }

  beginAgain(restarts: number, restartReason: string): void {
    this.#returned = NOTHING;
    this.#planId = undefined;
    this.#partitions = new PartitionProgress([]);
    const { partitions: _lost, ...others } = this.#now;
    this.#now = others;
    this.set({ phase: 'planning', ...NOTHING, restarts, restartReason });
  }

  #advance({ rows, bytes, chunksDone }: Done): void {
    const now = this.#now;
    this.set(chunksDone < now.chunksDone ? {} : { rows, bytes, chunksDone });
  }
}

type Done = Pick<Progress, 'rows' | 'bytes' | 'chunksDone'>;

const NOTHING: Done = { rows: 0, bytes: 0, chunksDone: 0 };
