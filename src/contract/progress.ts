import type { TableOutcome, TableTotals } from './extract-database.ts';

/** What a run is doing, in the order in which it does it. */
export type Phase =
  'waiting' | 'planning' | 'copying' | 'paused' | 'committing' | 'done' | 'failed' | 'cancelled';

/** The answer to the query `progress`. Rows and bytes are those of finished chunks, which are durable. */
export interface Progress {
  readonly table: string;
  readonly phase: Phase;
  readonly rows: number;
  readonly bytes: number;
  readonly chunksDone: number;
  readonly chunks: number;
  readonly parallelism: number;
  /** When copying began, in milliseconds since 1970; 0 before. */
  readonly copyingSince: number;
  /** When the snapshot that all chunks read was taken, by the source's clock; absent if none is held. */
  readonly snapshotTakenAt?: string;
  readonly restarts: number;
  /** Why the run restarted last; absent if it has not. */
  readonly restartReason?: string;
  /** The checkpoint of an incremental run; until its commit, that of the previous run. */
  readonly checkpoint?: string;
  /** Present if there are several: at most 20, those being copied first, then those with the most rows. */
  readonly partitions?: readonly PartProgress[];
}

/** One partition, or several consecutive ones. */
export interface PartProgress {
  readonly name: string;
  readonly rows: number;
  readonly bytes: number;
  readonly chunksDone: number;
  readonly chunks: number;
  /** When its copy began, in milliseconds since 1970; absent while it is not being copied. */
  readonly copyingSince?: number;
}

/** A table of a run of `extractDatabase`. */
export interface TableProgress {
  readonly table: string;
  /** `packed`: one of several that an activity copies; its totals are known when it is done. */
  readonly phase: 'planning' | 'copying' | 'committing' | 'packed' | TableOutcome;
  readonly rows: number;
  readonly bytes: number;
  readonly chunksDone: number;
  /** 0 if not known. */
  readonly chunks: number;
  /** When work on it began, in milliseconds since 1970; absent while it is not under way, and for packed tables. */
  readonly copyingSince?: number;
}

/** The answer to the query `progress` of `extractDatabase`. Running tables are as the ledger last reported them. */
export interface DatabaseProgress extends TableTotals {
  readonly phase: Phase;
  readonly tables: number;
  readonly waiting: number;
  /** At most 50. */
  readonly running: readonly TableProgress[];
  /** The 20 largest that have ended. */
  readonly ended: readonly TableProgress[];
  readonly parallelism: number;
  /** The share of all tables that is done, by size on disk: 0 to 1. */
  readonly done: number;
  /** When copying began, in milliseconds since 1970; 0 before. */
  readonly copyingSince: number;
  /** The moment that all tables are of; absent if each has its own. */
  readonly snapshotTakenAt?: string;
  readonly restarts: number;
  /** Why the run restarted last; absent if it has not. */
  readonly restartReason?: string;
  /** The latest 50. */
  readonly failures: readonly { readonly table: string; readonly message: string }[];
}

export const PROGRESS_QUERY = 'progress';
export const SET_PARALLELISM_UPDATE = 'setParallelism';
export const RETRY_TABLE_UPDATE = 'retryTable';
export const SKIP_TABLE_UPDATE = 'skipTable';
export const PAUSE_SIGNAL = 'pause';
export const RESUME_SIGNAL = 'resume';
