import type { ExtractTableInput } from './extract-table.ts';
import type { SkippedPartitions } from './partition-inputs.ts';
import type { DatabaseRun, RunIdentity } from './run-identity.ts';
import type { RunOutcome } from './run-outcome.ts';
import type { Snapshot } from './snapshot.ts';

/** A plan as the workflow needs to know it; the full plan stays in the warehouse, with its staging table. */
export interface PlanSummary {
  /** Identifies the plan, its staging table and its ledger. A bigint, as text. */
  readonly planId: string;
  /** Whose plan it is; absent once it needs no copies, and from earlier versions. */
  readonly runId?: string;
  readonly target: string;
  readonly chunks: number;
  /** Labels for the chunks: a bounded number, however many partitions there are. */
  readonly partitions: readonly PartitionLabel[];
  readonly partitionCount: number;
  /** Present if the last chunks carry the keys of partitions of which many are small. */
  readonly keys?: ChunksOfKeys;
  readonly skippedPartitions?: SkippedPartitions;
  readonly warnings: readonly string[];
  /** The checkpoint that an incremental run continues from. */
  readonly checkpoint?: string;
  /** True if the namespace knows this project's search attributes; setting others would block the workflow. */
  readonly searchAttributes?: boolean;
  /** Limit for all copies together. */
  readonly maxBytesPerSecond?: number;
  /** Set if the planning activity also copied and committed the table. */
  readonly outcome?: RunOutcome;
}

/** Chunks that take so little time that more of them are worth an activity. */
export interface ChunksOfKeys {
  /** The first of them. */
  readonly from: number;
  readonly inSpan: number;
}

/** Consecutive partitions, and the number of chunks they have together. */
export interface PartitionLabel {
  /** `orders_2024_01`, or `orders_2024_01 to orders_2024_06`. */
  readonly name: string;
  readonly chunks: number;
}

export interface PlanExtractionRequest extends RunIdentity {
  readonly input: ExtractTableInput;
  readonly database?: DatabaseRun;
  /** The snapshot to read, if already decided. */
  readonly snapshot?: Snapshot;
  /** Set if the same activity may also copy and commit a small table. */
  readonly mayFinish?: true;
}
