import type { CheckSourceInput, CheckSourceResult } from './check-source.ts';
import type { CopiedSpan, CopyChunksRequest } from './chunks.ts';
import type { DatabaseActivities } from './database-activities.ts';
import type { MaintainBronzeInput, MaintainBronzeResult } from './maintain-bronze.ts';
import type { WatchRequest } from './observed.ts';
import type { PlanExtractionRequest, PlanSummary } from './plan-summary.ts';
import type { CommitRequest, CommitResult, DiscardRequest } from './run-outcome.ts';
import type { HoldSnapshotRequest } from './snapshot.ts';

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

export interface PauseRequest {
  readonly planId: string;
  readonly paused: boolean;
}
