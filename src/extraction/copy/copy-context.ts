import type { Claim } from '../../bronze/bookkeeping/attempts.ts';
import type { Attempt } from '../../contract/attempt.ts';
import type { Copied } from '../../contract/chunks.ts';
import type { Database } from '../../postgres/database.ts';

export interface CopyContext {
  readonly warehouse: Database;
  readonly sourceNamed: (name: string) => Database;
  readonly attempt: Attempt;
  readonly signal: AbortSignal;
  /** True once the worker was asked to stop: no further chunk is begun, and those left go to another worker. */
  readonly isStopping: () => boolean;
  /** Called with the chunk being copied and its bytes so far. */
  readonly onProgress: (progress: ChunkProgress) => void;
  /** Called when chunks that are copied together are committed, with their ledger marks. */
  readonly onCopied: (copied: CopiedTogether) => void;
}

export interface CopiedTogether extends Copied {
  readonly source: string;
  readonly table: string;
  /** The first of them. */
  readonly chunk: number;
  readonly chunks: number;
}

export interface ChunkProgress {
  readonly chunk: number;
  readonly bytes: number;
}

/** A copy context whose `onProgress` can hold up the copy by returning a promise. */
export interface PacedContext extends Omit<CopyContext, 'onProgress'> {
  readonly claim: Claim;
  readonly onProgress: (progress: ChunkProgress) => void | Promise<void>;
}
