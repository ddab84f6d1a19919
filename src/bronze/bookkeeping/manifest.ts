import type { RunIdentity } from '../../contract/run-identity.ts';
import type { Attempt } from '../../contract/attempt.ts';
import { DatakitError } from '../../contract/failures.ts';
import type { IncrementalOutcome } from '../../contract/incremental.ts';
import type { SkippedPartitions } from '../../contract/partition-inputs.ts';
import { VERSION } from '../../contract/version.ts';
import type { TableName } from '../../contract/table-name.ts';
import { quoteText } from '../../postgres/identifiers.ts';
import { OWN_PREFIX } from '../../postgres/replication/own-messages.ts';
import type { Session } from '../../postgres/session.ts';
import type { ColumnDefinition } from '../schema/bronze-table.ts';
import { BRONZE } from '../layout.ts';
import type { LedgerTotals } from './ledger.ts';
import { chunkCount, type ExtractionPlan } from '../plan.ts';

export type RunStatus = 'running' | 'committed' | 'superseded' | 'unchanged' | 'failed' | 'cancelled';

export interface ManifestOf extends RunIdentity {
  /** The Temporal namespace of the run's workflow: another namespace knows nothing of it. */
  readonly namespace: string;
  /** The run of a whole database that the table belongs to. */
  readonly databaseRunId?: string | undefined;
  /** The attempt at the plan. */
  readonly attempt: Attempt;
}

/**
 * Opens the manifest of a run, or updates it to a new plan of the same run.
 *
 * @throws {DatakitError} SerializationFailure if a later attempt has planned the run: an earlier one that wakes up
 *   late would take the plan away from a run that is copying or over
 */
export async function openManifest(
  session: Session,
  run: ManifestOf,
  planId: string,
  plan: ExtractionPlan,
): Promise<void> {
  const opened = await session.query(
    `INSERT INTO ${BRONZE}.extraction_runs AS r (${ENTRY})
     SELECT ${ENTRY} FROM jsonb_populate_record(NULL::${BRONZE}.extraction_runs, $1)
     ON CONFLICT (run_id) DO UPDATE SET ${ANEW}, finished_at = NULL
      WHERE r.plan_attempt IS NULL OR excluded.plan_attempt IS NULL
         OR (r.plan_scheduled_at, r.plan_attempt) <= (excluded.plan_scheduled_at, excluded.plan_attempt)
     RETURNING run_id`,
    [JSON.stringify(entryOf(run, planId, plan))],
  );
  if (opened.length === 0)
    throw new DatakitError('SerializationFailure', 'A later attempt has planned the run');
}

export interface CommittedRun {
  readonly run: ManifestOf;
  readonly planId: string;
  readonly plan: ExtractionPlan;
  readonly totals: LedgerTotals;
}

/** Records runs that are planned and made visible in one transaction, as runs of several steps end up recorded. */
export async function recordCommitted(session: Session, runs: readonly CommittedRun[]): Promise<void> {
  const entries = runs.map(({ run, planId, plan, totals }) => ({
    ...entryOf(run, planId, plan),
    status: 'committed',
    rows: totals.rows,
    bytes: totals.bytes,
    snapshot_at: totals.snapshotAt,
    snapshot_lsn: totals.snapshotLsn,
  }));
  await session.query(
    `INSERT INTO ${BRONZE}.extraction_runs
       (${ENTRY}, rows, bytes, snapshot_at, snapshot_lsn, finished_at)
     SELECT ${ENTRY}, rows, bytes, snapshot_at, snapshot_lsn, clock_timestamp()
       FROM jsonb_populate_recordset(NULL::${BRONZE}.extraction_runs, $1)
     ON CONFLICT (run_id) DO UPDATE SET ${ANEW}, rows = excluded.rows, bytes = excluded.bytes,
       snapshot_at = excluded.snapshot_at, snapshot_lsn = excluded.snapshot_lsn, finished_at = excluded.finished_at`,
    [JSON.stringify(entries)],
  );
}

/** The columns of the manifest that are known when a run is planned. */
const ENTRY = `run_id, workflow_id, source, source_uri, source_schema, source_table, target, status, plan_id, chunks,
  partitions, format, columns, filter, warnings, verify, extraction_type, skipped_partitions, database_run_id,
  worker_version, namespace, plan_scheduled_at, plan_attempt`;

/** The assignments for what a new plan of the same run may change. */
const ANEW = `status = excluded.status, plan_id = excluded.plan_id, chunks = excluded.chunks, partitions = excluded.partitions,
  format = excluded.format, columns = excluded.columns, warnings = excluded.warnings, extraction_type = excluded.extraction_type,
  skipped_partitions = excluded.skipped_partitions, worker_version = excluded.worker_version, message = NULL,
  plan_scheduled_at = excluded.plan_scheduled_at, plan_attempt = excluded.plan_attempt`;

/** Returns the manifest columns of a running run. */
function entryOf(run: ManifestOf, planId: string, plan: ExtractionPlan) {
  const data = plan.columns.filter(({ namesPartition }) => namesPartition === undefined);
  return {
    run_id: run.runId,
    workflow_id: run.workflowId,
    source: plan.source,
    source_uri: plan.sourceUri,
    source_schema: plan.table.schema,
    source_table: plan.table.name,
    target: plan.target,
    status: 'running',
    plan_id: planId,
    chunks: chunkCount(plan),
    partitions: plan.partitions.length,
    format: plan.format,
    columns: data.map(({ name, type, sourceType, decision }) => ({ name, type, sourceType, decision })),
    filter: plan.where,
    warnings: plan.warnings,
    verify: plan.hash === undefined ? 'rows' : 'checksum',
    extraction_type: plan.incremental?.extraction ?? 'full',
    skipped_partitions: plan.skipped,
    database_run_id: run.databaseRunId,
    worker_version: VERSION,
    namespace: run.namespace,
    plan_scheduled_at: run.attempt.attemptedAt,
    plan_attempt: run.attempt.number,
  };
}

export interface Outcome {
  readonly status: RunStatus;
  readonly rows: number;
  readonly bytes: number;
  readonly incremental: IncrementalOutcome | null;
  readonly warnings: readonly string[];
  readonly source: string;
  /** The moment that the rows are of, by the source's clock; null if none were read. */
  readonly snapshotAt: string | null;
}

const OUTCOME = `status, rows, bytes, incremental, warnings, source, snapshot_at::text AS "snapshotAt"`;
/**
 * SQL that is true for a run that has ended well. Finding one writes to the log, so that the commit of the finder, too,
 * waits for synchronous standbys: the attempt that recorded the run may have been given up before they had it.
 */
const HAS_ENDED = `CASE WHEN status IN ('committed', 'superseded', 'unchanged')
  THEN pg_logical_emit_message(true, ${quoteText(OWN_PREFIX)}, '') IS NOT NULL ELSE false END`;

/** As the driver returns them. */
type OutcomeRow = Omit<Outcome, 'rows' | 'bytes'> & { readonly rows: string; readonly bytes: string };

/** Finds the outcome of a run that has ended with this plan: a retried commit returns it. */
export async function findOutcome(
  session: Session,
  runId: string,
  planId: string,
): Promise<Outcome | undefined> {
  const [row] = await session.query<OutcomeRow>(
    `SELECT ${OUTCOME} FROM ${BRONZE}.extraction_runs WHERE run_id = $1 AND plan_id = $2 AND ${HAS_ENDED}`,
    [runId, planId],
  );
  return row === undefined ? undefined : withCounts(row);
}

const withCounts = <T extends OutcomeRow>(row: T) => ({
  ...row,
  rows: Number(row.rows),
  bytes: Number(row.bytes),
});

/** A run that ended successfully, with facts of its plan. */
export interface EndedRun extends Outcome, EndedPlan {}

interface EndedPlan {
  readonly planId: string;
  readonly target: string;
  readonly chunks: number;
  readonly partitions: number;
  readonly skipped: SkippedPartitions | null;
}

/**
 * SQL that is true for what this attempt or an earlier one at the same work has planned; its parameters start at $2.
 * Where a workflow is reset, what was planned before has the same run id, and is to be done again.
 */
const BY_ATTEMPT = `plan_scheduled_at >= $2 AND (plan_scheduled_at, plan_attempt) <= ($3, $4)`;

const attemptParameters = ({ scheduledAt, attemptedAt, number }: Attempt): number[] => [
  scheduledAt,
  attemptedAt,
  number,
];

/** Finds a run that this attempt or an earlier one both planned and ended. */
export async function findEnded(
  session: Session,
  runId: string,
  attempt: Attempt,
): Promise<EndedRun | undefined> {
  const [row] = await session.query<OutcomeRow & EndedPlan>(
    `SELECT plan_id AS "planId", target, chunks, partitions, skipped_partitions AS skipped, ${OUTCOME}
       FROM ${BRONZE}.extraction_runs
      WHERE run_id = $1 AND ${BY_ATTEMPT} AND ${HAS_ENDED}`,
    [runId, ...attemptParameters(attempt)],
  );
  return row === undefined ? undefined : withCounts(row);
}

/** Returns the outcomes, by run, of those of the runs that this attempt or an earlier one has ended well. */
export async function findOutcomes(
  session: Session,
  runIds: readonly string[],
  attempt: Attempt,
): Promise<ReadonlyMap<string, Pick<Outcome, 'status' | 'rows' | 'bytes'>>> {
  const rows = await session.query<{ run_id: string; status: RunStatus; rows: string; bytes: string }>(
    `SELECT run_id, status, rows, bytes FROM ${BRONZE}.extraction_runs
      WHERE run_id = ANY ($1) AND ${BY_ATTEMPT} AND ${HAS_ENDED}`,
    [runIds, ...attemptParameters(attempt)],
  );
  return new Map(
    rows.map(({ run_id: runId, status, rows: read, bytes }) => [
      runId,
      { status, rows: Number(read), bytes: Number(bytes) },
    ]),
  );
}

export interface UnplannedRun extends Omit<ManifestOf, 'namespace' | 'attempt'> {
  readonly source: string;
  readonly table: TableName;
  readonly target: string;
  readonly status: 'failed' | 'cancelled';
  readonly message: string;
}

/** Records a run that failed or was cancelled before it had a plan; one that had is in the manifest already. */
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

/** Returns the columns and types read by the run whose rows bronze shows; undefined if unknown. */
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

/** Closes the manifest of a run that ended successfully. */
export async function closeManifest(
  session: Session,
  runId: string,
  totals: LedgerTotals,
  { status, incremental, warnings }: Pick<Outcome, 'status' | 'incremental' | 'warnings'>,
): Promise<void> {
  await session.query(
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

/** Closes the manifest of a run that failed or was cancelled. One that was committed stays committed. */
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
