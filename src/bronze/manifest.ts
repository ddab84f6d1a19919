import type { RunIdentity } from '../contract/activities.ts';
import type { Attempt } from '../contract/attempt.ts';
import { DatakitError } from '../contract/failures.ts';
import type { IncrementalOutcome } from '../contract/incremental.ts';
import { VERSION } from '../contract/version.ts';
import type { TableName } from '../contract/table-name.ts';
import type { Statement, Writer } from '../postgres/batch.ts';
import type { Session } from '../postgres/session.ts';
import type { ColumnDefinition } from './bronze-table.ts';
import { BRONZE } from './layout.ts';
import type { LedgerTotals } from './ledger.ts';
import { chunkCount, type ExtractionPlan } from './plan.ts';

export type RunStatus = 'running' | 'committed' | 'superseded' | 'unchanged' | 'failed' | 'cancelled';

export interface ManifestOf extends RunIdentity {
  /** Of Temporal, where the workflow of the run is: that of another says nothing of it. */
  readonly namespace: string;
  /** The run of a whole database that the table is a part of. */
  readonly databaseRunId?: string | undefined;
  /** At the plan; absent where that is made visible in the same transaction. */
  readonly attempt?: Attempt;
}

/**
 * Opens the manifest of a run, or brings it up to a new plan of the same run.
 *
 * @throws {DatakitError} SerializationFailure where a later attempt at the plan has: one that wakes up late
 *   would take its plan from a run that copies, or that is over
 */
export async function openManifest(
  session: Session,
  run: ManifestOf,
  planId: string,
  plan: ExtractionPlan,
): Promise<void> {
  const opened = await session.query(...openingOf(run, planId, plan));
  if (opened.length === 0)
    throw new DatakitError('SerializationFailure', 'A later attempt has planned the run');
}

/** The statement that opens a manifest, and answers with nothing where it may not. */
export function openingOf(run: ManifestOf, planId: string, plan: ExtractionPlan): Statement {
  const data = plan.columns.filter(({ namesPartition }) => namesPartition === undefined);
  const columns = data.map(({ name, type, sourceType, decision }) => ({
    name,
    type,
    sourceType,
    decision,
  }));
  return [
    `INSERT INTO ${BRONZE}.extraction_runs AS r
       (run_id, workflow_id, source, source_uri, source_schema, source_table, target, status,
        plan_id, chunks, partitions, format, columns, filter, warnings, verify, extraction_type, skipped_partitions,
        database_run_id, worker_version, namespace, plan_scheduled_at, plan_attempt)
     VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
     ON CONFLICT (run_id) DO UPDATE SET
       status = 'running', plan_id = excluded.plan_id, chunks = excluded.chunks, partitions = excluded.partitions,
       format = excluded.format, columns = excluded.columns, warnings = excluded.warnings, extraction_type = excluded.extraction_type,
       skipped_partitions = excluded.skipped_partitions, worker_version = excluded.worker_version,
       message = NULL, finished_at = NULL, plan_scheduled_at = excluded.plan_scheduled_at, plan_attempt = excluded.plan_attempt
      WHERE r.plan_attempt IS NULL OR excluded.plan_attempt IS NULL
         OR (r.plan_scheduled_at, r.plan_attempt) <= (excluded.plan_scheduled_at, excluded.plan_attempt)
     RETURNING run_id`,
    [
      run.runId,
      run.workflowId,
      plan.source,
      plan.sourceUri,
      plan.table.schema,
      plan.table.name,
      plan.target,
      planId,
      chunkCount(plan),
      plan.partitions.length,
      plan.format,
      JSON.stringify(columns),
      plan.where,
      JSON.stringify(plan.warnings),
      plan.hash === undefined ? 'rows' : 'checksum',
      plan.incremental?.extraction ?? 'full',
      plan.skipped === undefined ? null : JSON.stringify(plan.skipped),
      run.databaseRunId ?? null,
      VERSION,
      run.namespace,
      run.attempt?.scheduledAt ?? null,
      run.attempt?.number ?? null,
    ],
  ];
}

export interface Outcome {
  readonly status: RunStatus;
  readonly rows: number;
  readonly bytes: number;
  readonly incremental: IncrementalOutcome | null;
  readonly warnings: readonly string[];
  readonly source: string;
  /** When the rows were true, by the source's clock; null where none were read. */
  readonly snapshotAt: string | null;
}

/** What the manifest says of a run that has ended with this plan: a retried commit answers from it. */
export async function findOutcome(
  session: Session,
  runId: string,
  planId: string,
): Promise<Outcome | undefined> {
  const [row] = await session.query<Omit<Outcome, 'rows' | 'bytes'> & { rows: string; bytes: string }>(
    `SELECT status, rows, bytes, incremental, warnings, source, snapshot_at::text AS "snapshotAt" FROM ${BRONZE}.extraction_runs
      WHERE run_id = $1 AND plan_id = $2 AND status IN ('committed', 'superseded', 'unchanged')`,
    [runId, planId],
  );
  return row === undefined ? undefined : { ...row, rows: Number(row.rows), bytes: Number(row.bytes) };
}

/** What the manifest says of runs that have ended well, of those that are named, by run. */
export async function findOutcomes(
  session: Session,
  runIds: readonly string[],
): Promise<ReadonlyMap<string, Pick<Outcome, 'status' | 'rows' | 'bytes'>>> {
  const rows = await session.query<{ run_id: string; status: RunStatus; rows: string; bytes: string }>(
    `SELECT run_id, status, rows, bytes FROM ${BRONZE}.extraction_runs
      WHERE run_id = ANY ($1) AND status IN ('committed', 'superseded')`,
    [runIds],
  );
  return new Map(
    rows.map(({ run_id: runId, status, rows: read, bytes }) => [
      runId,
      { status, rows: Number(read), bytes: Number(bytes) },
    ]),
  );
}

export interface UnplannedRun extends Omit<ManifestOf, 'namespace'> {
  readonly source: string;
  readonly table: TableName;
  readonly target: string;
  readonly status: 'failed' | 'cancelled';
  readonly message: string;
}

/** Records a run that came to nothing before it had a plan; of one that had the manifest knows already. */
export async function recordUnplanned(session: Session, run: UnplannedRun): Promise<void> {
  await session.query(
    `INSERT INTO ${BRONZE}.extraction_runs
       (run_id, workflow_id, source, source_uri, source_schema, source_table, target, status, message,
        finished_at, database_run_id, worker_version)
     VALUES ($1, $2, $3, '', $4, $5, $6, $10, $7, clock_timestamp(), $8, $9)
     ON CONFLICT (run_id) DO NOTHING`,
    [
      run.runId,
      run.workflowId,
      run.source,
      run.table.schema,
      run.table.name,
      run.target,
      run.message,
      run.databaseRunId ?? null,
      VERSION,
      run.status,
    ],
  );
}

/** The columns, with their types, that the run read whose rows bronze shows; undefined where that is not known. */
export async function findColumnsOfLastRun(
  session: Session,
  target: string,
): Promise<ColumnDefinition[] | undefined> {
  const [row] = await session.query<{ columns: ColumnDefinition[] | null }>(
    `SELECT r.columns FROM ${BRONZE}.extraction_targets t JOIN ${BRONZE}.extraction_runs r ON r.run_id = t.run_id
      WHERE t.target = $1`,
    [target],
  );
  return row?.columns ?? undefined;
}

/** Closes the manifest of a run whose rows arrived. */
export async function closeManifest(
  writer: Writer,
  runId: string,
  totals: LedgerTotals,
  { status, incremental, warnings }: Pick<Outcome, 'status' | 'incremental' | 'warnings'>,
): Promise<void> {
  await writer.query(
    `UPDATE ${BRONZE}.extraction_runs
        SET status = $2, rows = $3, bytes = $4, snapshot_at = $5, finished_at = clock_timestamp(),
            snapshot_lsn = $8, incremental = $6, schema_changes = coalesce($6::jsonb -> 'schemaChanges', '[]'),
            warnings = warnings || $7::jsonb
      WHERE run_id = $1`,
    [
      runId,
      status,
      totals.rows,
      totals.bytes,
      totals.snapshotAt,
      incremental === null ? null : JSON.stringify(incremental),
      JSON.stringify(warnings),
      totals.snapshotLsn,
    ],
  );
}

/** Closes the manifest of a run that came to nothing. One that was committed stays committed. */
export async function closeFailed(
  session: Session,
  runId: string,
  outcome: { readonly status: 'failed' | 'cancelled'; readonly message: string },
): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.extraction_runs SET status = $2, message = $3, finished_at = clock_timestamp()
      WHERE run_id = $1 AND status = 'running'`,
    [runId, outcome.status, outcome.message],
  );
}
