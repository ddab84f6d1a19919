import type { Copied } from './chunks.ts';
import type { PlanSummary } from './plan-summary.ts';
import type { RunIdentity } from './run-identity.ts';
import type { Snapshot } from './snapshot.ts';
import type {
  CaptureChangesInput,
  DropCaptureInput,
  DropCaptureResult,
  StreamProgress,
} from './capture-changes.ts';
import type { SchemaOrTable } from './schema-or-table.ts';
import type { TableName } from './table-name.ts';

export interface PrepareCaptureRequest extends RunIdentity {
  readonly input: CaptureChangesInput;
  /** Present if the workflow has prepared the capture before, and does not begin one anew that was dropped since. */
  readonly goesOn?: true;
}

export interface PreparedCapture {
  /** A bigint, as text. */
  readonly captureId: string;
  /** `resume`: the slot and the position in the warehouse match. `new`: there is no slot yet. */
  readonly outcome: 'new' | 'resume';
  readonly tables: readonly CapturedTable[];
  /** Tables to be copied even if that was given up; absent from earlier versions. */
  readonly copyWanted?: readonly TableName[];
  /** What the capture has written so far. */
  readonly written: Pick<StreamProgress, 'transactions' | 'changes'>;
  /** End of the source's log; everything committed earlier lies before it. */
  readonly logEnd: string;
  readonly warnings: readonly string[];
  /** True if the namespace knows the search attributes; absent from earlier versions, whose captures set nothing. */
  readonly searchAttributes?: boolean;
}

export interface CapturedTable extends TableName {
  /** True if it still has to be copied. */
  readonly copying: boolean;
}

/**
 * A capture by the number that the warehouse gave it. A warehouse that was restored from a backup gives that number to
 * another, so the slot is named too. What names it is absent in requests of earlier versions.
 */
export interface CaptureReference {
  readonly captureId: string;
  readonly source?: string;
  readonly slotName?: string;
}

export const referenceOf = (
  captureId: string,
  { source, slot }: Pick<CaptureChangesInput, 'source' | 'slot'>,
): Required<CaptureReference> => ({ captureId, source, slotName: slot });

export interface HoldSlotRequest extends RunIdentity, CaptureReference {
  readonly source: string;
  /** Identifies the holder to the workflow. */
  readonly holder: string;
  /** `permanent`: the slot of the capture. `temporary`: one for the snapshot of added tables. */
  readonly slot: 'permanent' | 'temporary';
}

export interface PlanCopyRequest extends RunIdentity, CaptureReference {
  readonly source: string;
  readonly table: TableName;
  readonly parallelism: number;
  /** The snapshot to read. Absent in requests of earlier versions, which planned as of now. */
  readonly snapshot?: Snapshot;
}

/** A table, and the run that copies it. */
export interface TableRun extends TableName {
  readonly runId: string;
}

export interface CopySmallTablesRequest extends Pick<RunIdentity, 'workflowId'>, Required<CaptureReference> {
  readonly tables: readonly TableRun[];
  readonly snapshot: Snapshot;
  readonly parallelism: number;
  readonly deletes: 'hard' | 'soft';
  /** Position of the snapshot in the log of the source. */
  readonly copiedAt?: string;
}

export interface TriedTable extends Copied {
  /** `alone`: it is large, or something was in the way that a run of its own may get around, or can tell. */
  readonly outcome: 'copied' | 'alone';
  readonly warnings: readonly string[];
}

export interface FinishCopyRequest extends CaptureReference {
  readonly source: string;
  readonly table: TableName;
  /** The run that made the copy. */
  readonly runId: string;
  readonly deletes: 'hard' | 'soft';
  /** Where the slot of the copied snapshot begins. Absent in requests of earlier versions. */
  readonly copiedAt?: string;
}

export interface StreamRequest extends RunIdentity {
  readonly captureId: string;
  readonly input: CaptureChangesInput;
  /** The position to stop at; if absent, only `duration` limits the stream. */
  readonly untilPosition?: string;
  /** Milliseconds to stream for; the stream ends at a transaction boundary. */
  readonly duration: number;
  /** Present if the history is long, so that its progress should cost few events. */
  readonly tellRarely?: true;
}

export interface StreamOutcome extends StreamProgress {
  /** `slot lag`: the slot held back more than it may, and the input asks to drop it. */
  readonly reason: 'caught up' | 'time is up' | 'slot lag' | 'copy wanted';
  /** Tables that have to be copied again. */
  readonly copyWanted: readonly TableName[];
  readonly warnings: readonly string[];
}

export interface ChangeTablesRequest extends RunIdentity {
  readonly captureId: string;
  readonly input: CaptureChangesInput;
  readonly change: 'add' | 'remove';
  readonly tables: readonly SchemaOrTable[];
}

export interface BeginStreamingRequest extends RunIdentity, CaptureReference {}

export interface DropRequest extends RunIdentity, DropCaptureInput {
  /** If given, only this capture is dropped: the slot may belong to another by now. */
  readonly captureId?: string;
}

export interface SlotRequest {
  readonly source: string;
  readonly slot: string;
  readonly runId: string;
}

/** The activities of a capture, as its workflows call them. */
export interface CaptureActivities {
  /** Checks all that can be checked, creates the publication, and compares the slot with the stored position. */
  prepareCapture(request: PrepareCaptureRequest): Promise<PreparedCapture>;
  /** Creates a slot, signals the snapshot of its start, and holds that snapshot until cancelled. */
  holdSlot(request: HoldSlotRequest): Promise<void>;
  /**
   * Copies those tables that are small, each within one transaction of the warehouse, and finishes their copies. Tells
   * of the first tables, in order, until it has taken long enough or its worker is asked to stop.
   */
  copySmallTables(request: CopySmallTablesRequest): Promise<readonly TriedTable[]>;
  /** Plans the copy of a table as its publication sends it. Null if the table has been copied in the meantime. */
  planCopy(request: PlanCopyRequest): Promise<PlanSummary | null>;
  /** Applies the changes logged during the copy, and records that the table is copied. */
  finishCopy(request: FinishCopyRequest): Promise<void>;
  /** Records that the first copy is done. */
  beginStreaming(request: BeginStreamingRequest): Promise<void>;
  /** Writes changes to the warehouse and acknowledges what is written, until cancelled or done as requested. */
  streamChanges(request: StreamRequest): Promise<StreamOutcome>;
  /** Adds tables to the publication or removes them; returns the tables that the capture then has. */
  changeTables(request: ChangeTablesRequest): Promise<readonly CapturedTable[]>;
  /** Returns the bytes that the slot holds back; used while no stream runs. */
  checkSlot(request: SlotRequest): Promise<number>;
  /** Drops only the slot, so that it stops holding back log; returns whether it existed. */
  dropSlot(request: SlotRequest): Promise<boolean>;
  /** Drops slot, publication and bookkeeping, as far as they exist. */
  dropCapture(request: DropRequest): Promise<DropCaptureResult>;
}
