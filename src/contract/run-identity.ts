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
