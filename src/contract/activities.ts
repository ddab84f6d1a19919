import type { DatabaseActivities } from './database-activities.ts';
import type { CheckSourceInput, CheckSourceResult } from './check-source.ts';
import type { ExtractTableInput } from './extract-table.ts';
import type { MaintainBronzeInput, MaintainBronzeResult } from './maintain-bronze.ts';
import type { IncrementalOutcome } from './incremental.ts';
import type { SkippedPartitions } from './partition-inputs.ts';

/** A plan as the workflow needs to know it; the whole of it stays in the warehouse, beside its staging table. */
export interface PlanSummary {
  /** Identifies plan, staging table and ledger. A bigint, as text. */
  readonly planId: string;
  readonly target: string;
  readonly chunks: number;
  /** What the chunks are of, for labels: a bounded number of them, however many partitions there are. */
  readonly partitions: readonly PartitionLabel[];
  readonly partitionCount: number;
  readonly skippedPartitions?: SkippedPartitions;
  readonly warnings: readonly string[];
  /** Where an incremental run goes on from. */
  readonly checkpoint?: string;
  /** Whether the namespace knows the search attributes of this project; to set others would block the workflow. */
  readonly searchAttributes?: boolean;
  /** For all copies together. */
  readonly maxBytesPerSecond?: number;
  /** Where the activity that planned it copied and committed it, too. */
  readonly outcome?: RunOutcome;
}

/** Partitions that follow one another, and the chunks that they have together. */
export interface PartitionLabel {
  /** `orders_2024_01`, or `orders_2024_01 to orders_2024_06`. */
  readonly name: string;
  readonly chunks: number;
}

/** Names one execution of one table: the same through continue-as-new and reset. */
export interface RunIdentity {
  readonly runId: string;
  readonly workflowId: string;
}

/** The run of `extractDatabase` that a table is extracted by. */
export interface DatabaseRun {
  readonly runId: string;
  /** The number of the table in it. */
  readonly member: number;
}

export interface PlanExtractionRequest extends RunIdentity {
  readonly input: ExtractTableInput;
  readonly database?: DatabaseRun;
  /** The moment that the table is to be of, where it is decided already. */
  readonly snapshot?: Snapshot;
  /** Whether a small table may be copied and committed by the same activity. */
  readonly mayFinish?: true;
}

/** A moment of the source that sessions can share while its holder lives. */
export interface Snapshot {
  readonly id: string;
  /** By the source's clock, ISO 8601. */
  readonly takenAt: string;
  /** How far the source's write-ahead log was, `0/1A2B3C4D`. Of a new slot: where it begins. */
  readonly lsn?: string;
}

export interface HoldSnapshotRequest {
  readonly source: string;
  readonly runId: string;
  /** Names the holder to the workflow. */
  readonly holder: string;
  /** Milliseconds; see the input `idleTimeout`. */
  readonly idleTimeout?: number;
  /** What another holder has, to be held on to; a new snapshot where left out. */
  readonly from?: HeldSnapshot;
}

/** A snapshot, and who holds it. */
export interface HeldSnapshot {
  readonly holder: string;
  readonly worker: string;
  readonly snapshot: Snapshot;
  /** Its worker was asked to stop: somebody else must hold the snapshot soon. */
  readonly leaving?: true;
}

/** Chunks of a plan that follow one another. */
export interface Span {
  readonly from: number;
  readonly count: number;
}

export interface CopyChunksRequest extends Span {
  readonly planId: string;
  readonly snapshot?: Snapshot;
  /** What these chunks may have of what the run may read. */
  readonly bytesPerSecond?: number;
}

/** What copying a span came to. */
export interface CopiedSpan extends Copied {
  /** What is left of it, because the run was paused. */
  readonly left?: Span;
}

export interface PauseRequest {
  readonly planId: string;
  readonly paused: boolean;
}

export interface WatchRequest {
  /** Of a run of `extractTable`, or of `extractDatabase` for all tables that it extracts. */
  readonly runId: string;
  /** Whether the partitions of the one table are to be told as well. */
  readonly partitions: boolean;
  /** From one look to the next, in milliseconds. */
  readonly pace: number;
}

/** How far the unfinished tables of a run are, by the ledger. */
export interface Observed {
  readonly tables: readonly ObservedTable[];
  /** Of a table that is extracted alone and has several. */
  readonly partitions?: CopiedPartitions;
  /** Of tables that a run of `extractDatabase` has finished. */
  readonly finished: Copied;
}

export interface ObservedTable extends Copied {
  readonly planId: string;
  readonly table: string;
  readonly chunksDone: number;
  readonly chunks: number;
}

/** What the ledger has of the partitions of a plan, as few bytes as it can be said in: it is told every few seconds. */
export interface CopiedPartitions {
  /** For each label of the plan. */
  readonly chunksDone: readonly number[];
  /** At most 20: those that are half done first, then those with the most rows. */
  readonly foremost: readonly CopiedPartition[];
}

export interface CopiedPartition extends Copied {
  /** Its place among the labels of the plan. */
  readonly partition: number;
}

/** What the ledger says of chunks. */
export interface Copied {
  readonly rows: number;
  /** Of COPY data. */
  readonly bytes: number;
}

export interface CommitRequest {
  readonly planId: string;
  readonly runId: string;
  /** Whether the result is to say what was copied of each partition, which needs a look of its own. */
  readonly tellPartitions?: boolean;
}

/** How a run ended well. */
export interface RunOutcome extends Copied {
  readonly outcome: 'committed' | 'superseded' | 'unchanged';
  /** Where that was asked for, and there are several. */
  readonly partitions?: CopiedPartitions;
  readonly incremental?: IncrementalOutcome;
  /** All of the run: what was known before, and what was found out by copying. */
  readonly warnings?: readonly string[];
  readonly source?: string;
  /** When the rows were true, by the source's clock. */
  readonly snapshotAt?: string;
}

export type CommitResult =
  | RunOutcome
  /** Chunks that the ledger lacks: they go back to the fan-out. */
  | { readonly outcome: 'incomplete'; readonly missing: readonly number[] };

export interface DiscardRequest extends RunIdentity {
  readonly outcome: { readonly status: 'failed' | 'cancelled'; readonly message: string };
  /** Of a table of a whole database, whose failure is recorded also where it never had a plan. */
  readonly member?: { readonly databaseRunId: string; readonly input: ExtractTableInput };
}

/** The activities, as the workflows call them. */
export interface Activities extends DatabaseActivities {
  /** Finds out what stands in the way of extractions from a source. */
  checkSource(input: CheckSourceInput): Promise<CheckSourceResult>;
  /** Drops what runs have left that are over, and what nobody has. */
  maintainBronze(input: MaintainBronzeInput): Promise<MaintainBronzeResult>;
  /**
   * Resolves the table, decides chunks and types, and makes the staging table. Drops what an earlier plan of the run left.
   * With `mayFinish` a small table is copied and committed as well.
   */
  planExtraction(request: PlanExtractionRequest): Promise<PlanSummary>;
  /**
   * Exports a snapshot, signals it to the workflow, and holds it until it is cancelled. Fails when it is lost.
   * With `from` it is the same snapshot, held once more, on another worker where there is one.
   */
  holdSnapshot(request: HoldSnapshotRequest): Promise<void>;
  /**
   * Copies chunks, one after the other, each with its mark in the ledger in one transaction of its own.
   * Those that are marked already are not copied again.
   */
  copyChunks(request: CopyChunksRequest): Promise<CopiedSpan>;
  /** Lets the copies of a plan end after the chunk that they are at, and begin no other; or go on. */
  pauseCopies(request: PauseRequest): Promise<void>;
  /** Reads from the ledger how far a run is, and signals it to the workflow, again and again until it is cancelled. */
  watchProgress(request: WatchRequest): Promise<void>;
  /** Makes the run visible to readers of bronze, in one transaction. */
  commitBronze(request: CommitRequest): Promise<CommitResult>;
  /** Drops staging tables and ledgers of a run that is not to be committed, and closes its manifest. */
  discardStaging(request: DiscardRequest): Promise<void>;
}

/** The signal by which a holder tells the workflow of its snapshot. */
export const SNAPSHOT_EXPORTED_SIGNAL = 'snapshotExported';

/** The signal by which `watchProgress` tells what it has {@link Observed}. */
export const PROGRESS_OBSERVED_SIGNAL = 'progressObserved';
