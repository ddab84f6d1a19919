import type { RunIdentity } from './run-identity.ts';
import type { Snapshot } from './snapshot.ts';
import type { BoundedNames, ExtractDatabaseRequest, TableOutcome, TableTotals } from './extract-database.ts';

/** A table of a run of `extractDatabase`. Its number is its rank by size, the largest first. */
export interface Member {
  readonly table: string;
  /** Size on disk, as reported by the source. */
  readonly bytes: number;
  /** True if it is worth its own workflow; one activity copies many small tables. */
  readonly large: boolean;
}

export interface ResolveTablesRequest extends RunIdentity {
  readonly request: ExtractDatabaseRequest;
}

export interface ResolvedTables {
  readonly count: number;
  readonly incremental: number;
  readonly newTables: BoundedNames;
  readonly vanishedTables: BoundedNames;
  /** True if the namespace knows this project's search attributes. */
  readonly searchAttributes?: boolean;
}

export interface MemberPageRequest {
  readonly runId: string;
  readonly from: number;
}

export interface CopyTablesRequest extends RunIdentity {
  readonly source: string;
  /** The tables, by number. */
  readonly members: readonly number[];
  /** How often the run restarted: tables extracted before a restart are extracted again. */
  readonly restarts: number;
  /** The snapshot that all tables of the run read; if absent, each reads its own moment. */
  readonly snapshot?: Snapshot;
}

export interface CopiedTables {
  readonly tables: readonly CopiedTable[];
}

/** Tables not reached, because the run was paused or the worker asked to stop, are not among them. */
export interface CopiedTable {
  readonly member: number;
  /** `alone`: something was in the way that a workflow of its own may get around. */
  readonly outcome: TableOutcome | 'alone';
  readonly rows: number;
  readonly bytes: number;
  readonly message?: string;
}

export interface SteerTablesRequest {
  readonly runId: string;
  readonly paused: boolean;
  readonly skipped: readonly number[];
}

export interface CloseDatabaseRunRequest extends TableTotals {
  readonly runId: string;
  readonly status: 'complete' | 'partial' | 'failed' | 'cancelled';
  readonly restarts: number;
  readonly snapshot?: Snapshot;
  readonly message?: string;
  readonly warnings: readonly string[];
}

export interface LimitIncrementsRequest extends RunIdentity {
  readonly source: string;
  /** Present if the run begins again: the tables that are to be skipped still, and no others. */
  readonly skipped?: readonly number[];
}

/** The activities of `extractDatabase`. */
export interface DatabaseActivities {
  /** Finds the tables that the input selects and records them in the warehouse, the largest first. */
  resolveTables(request: ResolveTablesRequest): Promise<ResolvedTables>;
  /** Reads the members from a number on, as many as a payload should hold. */
  readMembers(request: MemberPageRequest): Promise<readonly Member[]>;
  /** Decides, before the snapshot, how far each incremental table may move its checkpoint. */
  limitIncrements(request: LimitIncrementsRequest): Promise<void>;
  /** Extracts small tables one after the other, each within one warehouse transaction. */
  copyTables(request: CopyTablesRequest): Promise<CopiedTables>;
  /** Tells running activities to stop after the current table, or not to start certain tables. */
  steerTables(request: SteerTablesRequest): Promise<void>;
  /** Closes the record of the run. */
  closeDatabaseRun(request: CloseDatabaseRunRequest): Promise<void>;
}
