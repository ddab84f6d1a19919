import type { PlanSummary, RunIdentity, Snapshot } from './activities.ts';
import type {
  CaptureChangesInput,
  DropCaptureInput,
  DropCaptureResult,
  StreamProgress,
  TablePattern,
} from './capture-changes.ts';
import type { TableName } from './table-name.ts';

export interface PrepareCaptureRequest extends RunIdentity {
  readonly input: CaptureChangesInput;
}

export interface PreparedCapture {
  /** A bigint, as text. */
  readonly captureId: string;
  /** `resume`: the slot and the position in the warehouse fit. `new`: there is no slot yet. */
  readonly outcome: 'new' | 'resume';
  readonly tables: readonly CapturedTable[];
  /** What the capture has written so far. */
  readonly written: Pick<StreamProgress, 'transactions' | 'changes'>;
  /** Where the source's log ended; what was committed before lies before it. */
  readonly logEnd: string;
  readonly warnings: readonly string[];
}

export interface CapturedTable extends TableName {
  /** Whether its copy is to be made. */
  readonly copying: boolean;
}

export interface HoldSlotRequest extends RunIdentity {
  readonly captureId: string;
  readonly source: string;
  /** Names the holder to the workflow. */
  readonly holder: string;
  /** `permanent`: the slot of the capture. `temporary`: one for the snapshot of tables that are added. */
  readonly slot: 'permanent' | 'temporary';
}

export interface PlanCopyRequest extends RunIdentity {
  readonly captureId: string;
  readonly source: string;
  readonly table: TableName;
  readonly parallelism: number;
  /** The moment that the copy is to be of. Absent from requests of earlier versions, which planned as of now. */
  readonly snapshot?: Snapshot;
}

export interface FinishCopyRequest {
  readonly captureId: string;
  readonly source: string;
  readonly table: TableName;
  /** The run that made the copy. */
  readonly runId: string;
  readonly deletes: 'hard' | 'soft';
  /** Where the slot begins whose snapshot was copied. Absent from requests of earlier versions. */
  readonly copiedAt?: string;
}

export interface StreamRequest extends RunIdentity {
  readonly captureId: string;
  readonly input: CaptureChangesInput;
  /** Where to end; by its time only where left out. */
  readonly untilPosition?: string;
  /** Milliseconds after which to end, at a boundary of transactions. */
  readonly duration: number;
}

export interface StreamOutcome extends StreamProgress {
  /** `slot lag`: the slot held back more than it may, and the input wants it dropped. */
  readonly reason: 'caught up' | 'time is up' | 'slot lag' | 'copy wanted';
  /** Tables that have to be copied again. */
  readonly copyWanted: readonly TableName[];
  readonly warnings: readonly string[];
}

export interface ChangeTablesRequest extends RunIdentity {
  readonly captureId: string;
  readonly input: CaptureChangesInput;
  readonly change: 'add' | 'remove';
  readonly tables: readonly TablePattern[];
}

export interface CaptureReference extends RunIdentity {
  readonly captureId: string;
}

export interface DropRequest extends RunIdentity, DropCaptureInput {
  /** Where given, only that capture is dropped: the slot may be another's by now. */
  readonly captureId?: string;
}

export interface SlotRequest {
  readonly source: string;
  readonly slot: string;
  readonly runId: string;
}

/** The activities of a capture, as its workflows call them. */
export interface CaptureActivities {
  /** Checks all that can be checked, makes the publication, and compares the slot with the stored position. */
  prepareCapture(request: PrepareCaptureRequest): Promise<PreparedCapture>;
  /** Makes a slot, signals the snapshot of its beginning, and holds that until it is cancelled. */
  holdSlot(request: HoldSlotRequest): Promise<void>;
  /** Plans the copy of a table, as its publication sends it. Null where the table has been copied meanwhile. */
  planCopy(request: PlanCopyRequest): Promise<PlanSummary | null>;
  /** Records that a table is copied; what its changes need is made. */
  finishCopy(request: FinishCopyRequest): Promise<void>;
  /** Records that the first copy is done. */
  beginStreaming(request: CaptureReference): Promise<void>;
  /** Writes changes to the warehouse, and acknowledges what is written, until it is cancelled or as it is told. */
  streamChanges(request: StreamRequest): Promise<StreamOutcome>;
  /** Adds tables to the publication or removes them; gives those of the capture now. */
  changeTables(request: ChangeTablesRequest): Promise<readonly CapturedTable[]>;
  /** Bytes that the slot holds back, to be known while no stream looks. */
  checkSlot(request: SlotRequest): Promise<number>;
  /** Drops the slot alone, so that it holds back no more; whether it was there. */
  dropSlot(request: SlotRequest): Promise<boolean>;
  /** Drops slot, publication and bookkeeping, as far as they are there. */
  dropCapture(request: DropRequest): Promise<DropCaptureResult>;
}
