import type { RunIdentity, Snapshot } from './activities.ts';
import type { ExtractDatabaseRequest, TableOutcome, TableTotals } from './extract-database.ts';

/** A table of a run of `extractDatabase`. Its number is its place in the order of size, the largest first. */
export interface Member {
  readonly table: string;
  /** On disk, as the source says. */
  readonly bytes: number;
  /** Whether it is worth a workflow of its own; small ones are copied many in one activity. */
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
  /** Whether the namespace knows the search attributes of this project. */
  readonly searchAttributes?: boolean;
}

/** How many there are, and the first of their names. */
export interface BoundedNames {
  readonly count: number;
  readonly names: readonly string[];
}

export interface MemberPageRequest {
  readonly runId: string;
  readonly from: number;
}

export interface CopyTablesRequest extends RunIdentity {
  readonly source: string;
  /** The tables by their numbers. */
  readonly members: readonly number[];
  /** How often the run began again: what was extracted before is extracted once more. */
  readonly restarts: number;
  /** What all tables of the run read; each reads a moment of its own where left out. */
  readonly snapshot?: Snapshot;
}

export interface CopiedTables {
  readonly tables: readonly CopiedTable[];
}

/** A table that was not reached, because the run was paused or the worker asked to stop, is not among them. */
export interface CopiedTable {
  readonly member: number;
  /** `alone`: something was in its way that a run of its own may find a way round. */
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

/** The activities of `extractDatabase`. */
export interface DatabaseActivities {
  /** Finds the tables that the input means, and records them in the warehouse, the largest first. */
  resolveTables(request: ResolveTablesRequest): Promise<ResolvedTables>;
  /** As many members as a payload should hold, from a number on. */
  readMembers(request: MemberPageRequest): Promise<readonly Member[]>;
  /** Before the snapshot: how far each incremental table may move its checkpoint. */
  limitIncrements(request: RunIdentity & { readonly source: string }): Promise<void>;
  /** Extracts small tables one after the other, each in one transaction of the warehouse. */
  copyTables(request: CopyTablesRequest): Promise<CopiedTables>;
  /** Tells the activities that are under way to stop after the table, or not to begin some. */
  steerTables(request: SteerTablesRequest): Promise<void>;
  /** Closes the record of the run. */
  closeDatabaseRun(request: CloseDatabaseRunRequest): Promise<void>;
}
