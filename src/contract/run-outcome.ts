import type { Copied } from './chunks.ts';
import type { ExtractTableInput } from './extract-table.ts';
import type { IncrementalOutcome } from './incremental.ts';
import type { CopiedPartitions } from './observed.ts';
import type { RunIdentity } from './run-identity.ts';

export interface CommitRequest {
  readonly planId: string;
  readonly runId: string;
  /** Set if the result should include what was copied per partition, which takes an extra look. */
  readonly tellPartitions?: boolean;
}

/** The outcome of a successful run. */
export interface RunOutcome extends Copied {
  readonly outcome: 'committed' | 'superseded' | 'unchanged';
  /** Present if requested and there are several. */
  readonly partitions?: CopiedPartitions;
  readonly incremental?: IncrementalOutcome;
  /** All warnings of the run: those known before and those found while copying. */
  readonly warnings?: readonly string[];
  readonly source?: string;
  /** The moment that the rows are of, by the source's clock. */
  readonly snapshotAt?: string;
}

export type CommitResult =
  | RunOutcome
  /** Chunks missing from the ledger: they go back to the fan-out. */
  | { readonly outcome: 'incomplete'; readonly missing: readonly number[] };

export interface DiscardRequest extends RunIdentity {
  readonly outcome: { readonly status: 'failed' | 'cancelled'; readonly message: string };
  /** For a table of a whole database, whose failure is recorded even if it never had a plan. */
  readonly member?: { readonly databaseRunId: string; readonly input: ExtractTableInput };
}
