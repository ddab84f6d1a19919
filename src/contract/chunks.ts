import type { Snapshot } from './snapshot.ts';

/** Consecutive chunks of a plan. */
export interface Span {
  readonly from: number;
  readonly count: number;
}

export interface CopyChunksRequest extends Span {
  readonly planId: string;
  /** Whose plan it is; absent from workflows of earlier versions. */
  readonly runId?: string;
  readonly snapshot?: Snapshot;
  /** This span's share of the run's rate limit. */
  readonly bytesPerSecond?: number;
}

/** The result of copying a span. */
export interface CopiedSpan extends Copied {
  /** The part not copied because the run was paused, or the worker was asked to stop. */
  readonly left?: Span;
}

/** Rows and bytes copied, by the ledger. */
export interface Copied {
  readonly rows: number;
  /** Of COPY data. */
  readonly bytes: number;
}
