import type { DatabaseActivities } from './database-activities.ts';
import type { CheckSourceInput, CheckSourceResult } from './check-source.ts';
import type { ExtractTableInput } from './extract-table.ts';
import type { MaintainBronzeInput, MaintainBronzeResult } from './maintain-bronze.ts';
import type { IncrementalOutcome } from './incremental.ts';
import type { SkippedPartitions } from './partition-inputs.ts';

/** A plan as the workflow needs to know it; the full plan stays in the warehouse, with its staging table. */
export interface PlanSummary {
  /** Identifies the plan, its staging table and its ledger. A bigint, as text. */
  readonly planId: string;
  readonly target: string;
  readonly chunks: number;
  /** Labels for the chunks: a bounded number, however many partitions there are. */
  readonly partitions: readonly PartitionLabel[];
  readonly partitionCount: number;
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

/** Consecutive partitions, and the number of chunks they have together. */
export interface PartitionLabel {
  /** `orders_2024_01`, or `orders_2024_01 to orders_2024_06`. */
  readonly name: string;
  readonly chunks: number;
}

/** Identifies one execution for one table; unchanged by continue-as-new and reset. */
export interface RunIdentity {
  readonly runId: string;
  readonly workflowId: string;
}

/** The run of `extractDatabase` that a table belongs to. */
export interface DatabaseRun {
  readonly runId: string;
  /** The number of the table in that run. */
  readonly member: number;
}

export interface PlanExtractionRequest extends RunIdentity {
  readonly input: ExtractTableInput;
  readonly database?: DatabaseRun;
  /** The snapshot to read, if already decided. */
  readonly snapshot?: Snapshot;
  /** Set if the same activity may also copy and commit a small table. */
  readonly mayFinish?: true;
}

/** A snapshot of the source that sessions can share while its holder lives. */
export interface Snapshot {
  readonly id: string;
  /** By the source's clock, ISO 8601. */
  readonly takenAt: string;
  /** Position in the source's write-ahead log, `0/1A2B3C4D`; for a new slot, where it begins. */
  readonly lsn?: string;
}

export interface HoldSnapshotRequest {
  readonly source: string;
  readonly runId: string;
  /** Identifies the holder to the workflow. */
  readonly holder: string;
  /** Milliseconds; see the input `idleTimeout`. */
  readonly idleTimeout?: number;
  /** The snapshot of another holder, to be held as well; if absent, a new one is taken. */
  readonly from?: HeldSnapshot;
}

/** A snapshot and its holder. */
export interface HeldSnapshot {
  readonly holder: string;
  readonly worker: string;
  readonly snapshot: Snapshot;
  /** Set when its worker was asked to stop: another holder must take over soon. */
  readonly leaving?: true;
}

/** Consecutive chunks of a plan. */
export interface Span {
  readonly from: number;
  readonly count: number;
}

export interface CopyChunksRequest extends Span {
  readonly planId: string;
  readonly snapshot?: Snapshot;
  /** This span's share of the run's rate limit. */
  readonly bytesPerSecond?: number;
}

/** The result of copying a span. */
export interface CopiedSpan extends Copied {
  /** The part not copied because the run was paused. */
  readonly left?: Span;
}

export interface PauseRequest {
  readonly planId: string;
  readonly paused: boolean;
}

export interface WatchRequest {
  /** The run of `extractTable`, or of `extractDatabase` for all tables that it extracts. */
  readonly runId: string;
  /** Whether to report the partitions of the one table as well. */
  readonly partitions: boolean;
  /** Milliseconds from one look to the next. */
  readonly pace: number;
}

/** Progress of a run's unfinished tables, by the ledger. */
export interface Observed {
  readonly tables: readonly ObservedTable[];
  /** For a table that is extracted alone and has several. */
  readonly partitions?: CopiedPartitions;
  /** Totals of the tables that a run of `extractDatabase` has finished. */
  readonly finished: Copied;
}

export interface ObservedTable extends Copied {
  readonly planId: string;
  readonly table: string;
  readonly chunksDone: number;
  readonly chunks: number;
}

/** The ledger's view of a plan's partitions, kept small because it is reported every few seconds. */
export interface CopiedPartitions {
  /** For each label of the plan. */
  readonly chunksDone: readonly number[];
  /** At most 20: those half done first, then those with the most rows. */
  readonly foremost: readonly CopiedPartition[];
}

export interface CopiedPartition extends Copied {
  /** Its index among the labels of the plan. */
  readonly partition: number;
}

/** Rows and bytes copied, by the ledger. */
export interface Copied {
  readonly rows: number;
  /** Of COPY data. */
  readonly bytes: number;
}

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

/** The activities, as the workflows call them. */
export interface Activities extends DatabaseActivities {
  /** Finds obstacles to extracting from a source. */
  checkSource(input: CheckSourceInput): Promise<CheckSourceResult>;
  /** Drops what ended runs have left behind, and what belongs to no run. */
  maintainBronze(input: MaintainBronzeInput): Promise<MaintainBronzeResult>;
  /**
   * Resolves the table, decides chunks and types, and creates the staging table. Drops leftovers of an earlier
   * plan of the run. With `mayFinish`, also copies and commits a small table.
   */
  planExtraction(request: PlanExtractionRequest): Promise<PlanSummary>;
  /**
   * Exports a snapshot, signals it to the workflow, and holds it until cancelled. Fails when the snapshot is
   * lost. With `from`, holds that snapshot once more, on another worker if there is one.
   */
  holdSnapshot(request: HoldSnapshotRequest): Promise<void>;
  /**
   * Copies chunks one after the other, each together with its ledger entry in a transaction of its own. Chunks
   * already in the ledger are not copied again.
   */
  copyChunks(request: CopyChunksRequest): Promise<CopiedSpan>;
  /** Makes the copies of a plan stop after their current chunk, or lets them go on. */
  pauseCopies(request: PauseRequest): Promise<void>;
  /** Reads a run's progress from the ledger and signals it to the workflow, repeatedly until cancelled. */
  watchProgress(request: WatchRequest): Promise<void>;
  /** Makes the run visible to readers of bronze, in one transaction. */
  commitBronze(request: CommitRequest): Promise<CommitResult>;
  /** Drops the staging tables and ledgers of a run that will not be committed, and closes its manifest. */
  discardStaging(request: DiscardRequest): Promise<void>;
}

/** The signal by which a holder tells the workflow about its snapshot. */
export const SNAPSHOT_EXPORTED_SIGNAL = 'snapshotExported';

/** The signal by which `watchProgress` reports what it has {@link Observed}. */
export const PROGRESS_OBSERVED_SIGNAL = 'progressObserved';
