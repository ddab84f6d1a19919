/** What a run is doing, in the order in which it does it. */
export type Phase = 'waiting' | 'planning' | 'copying' | 'committing' | 'done' | 'failed' | 'cancelled';

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
}

export const PROGRESS_QUERY = 'progress';
export const SET_PARALLELISM_UPDATE = 'setParallelism';
