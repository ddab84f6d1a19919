import type { TableOutcome, TableTotals } from './extract-database.ts';

/** What a run is doing, in the order in which it does it. */
export type Phase =
  'waiting' | 'planning' | 'copying' | 'paused' | 'committing' | 'done' | 'failed' | 'cancelled';

/** The answer to the query `progress`. Rows and bytes are those of finished chunks: what is durable. */
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
  /** When the snapshot that all chunks read was taken, by the source's clock; absent where none is held. */
  readonly snapshotTakenAt?: string;
  readonly restarts: number;
  /** How far an incremental run has come: before its commit that of the run before. */
  readonly checkpoint?: string;
  /** Where there are several: at most 20, those that are being copied first, then those with the most rows. */
  readonly partitions?: readonly PartProgress[];
}

/** A partition, or several that follow one another. */
export interface PartProgress {
  readonly name: string;
  readonly rows: number;
  readonly bytes: number;
  readonly chunksDone: number;
  readonly chunks: number;
  /** Since when it is being copied, in milliseconds since 1970; absent where it is not. */
  readonly copyingSince?: number;
}

/** A table of a run of `extractDatabase`. */
export interface TableProgress {
  readonly table: string;
  /** `packed`: one of several that an activity copies; what has arrived of it is told when it is done. */
  readonly phase: 'planning' | 'copying' | 'committing' | 'packed' | TableOutcome;
  readonly rows: number;
  readonly bytes: number;
  readonly chunksDone: number;
  /** 0 where that is not known. */
  readonly chunks: number;
  /** Since when it is under way, in milliseconds since 1970; absent where it is not, and of packed ones. */
  readonly copyingSince?: number;
}

/** The answer to the query `progress` of `extractDatabase`. Of tables under way, what the ledger said last. */
export interface DatabaseProgress extends TableTotals {
  readonly phase: Phase;
  readonly tables: number;
  readonly waiting: number;
  /** At most 50. */
  readonly running: readonly TableProgress[];
  /** The 20 largest of those that have ended. */
  readonly ended: readonly TableProgress[];
  readonly parallelism: number;
  /** How much of all tables is done, by their size on disk: 0 to 1. */
  readonly done: number;
  /** When copying began, in milliseconds since 1970; 0 before. */
  readonly copyingSince: number;
  /** The moment of all tables; absent where each has its own. */
  readonly snapshotTakenAt?: string;
  readonly restarts: number;
  /** The latest 50. */
  readonly failures: readonly { readonly table: string; readonly message: string }[];
}

export const PROGRESS_QUERY = 'progress';
export const SET_PARALLELISM_UPDATE = 'setParallelism';
export const RETRY_TABLE_UPDATE = 'retryTable';
export const SKIP_TABLE_UPDATE = 'skipTable';
export const PAUSE_SIGNAL = 'pause';
export const RESUME_SIGNAL = 'resume';
