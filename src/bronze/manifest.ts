import type { RunIdentity } from '../contract/activities.ts';
import type { Session } from '../postgres/session.ts';
import { BRONZE } from './layout.ts';
import type { LedgerTotals } from './ledger.ts';
import { chunkCount, type ExtractionPlan } from './plan.ts';

export type RunStatus = 'running' | 'committed' | 'superseded' | 'failed' | 'cancelled';

/** Opens the manifest of a run, or brings it up to a new plan of the same run. */
export async function openManifest(
  session: Session,
  run: RunIdentity,
  planId: string,
  plan: ExtractionPlan,
): Promise<void> {
  const columns = plan.columns.map(({ name, type, sourceType, decision }) => ({
    name,
    type,
    sourceType,
    decision,
  }));
  await session.query(
    `INSERT INTO ${BRONZE}.extraction_runs
       (run_id, workflow_id, source, source_uri, source_schema, source_table, target, status,
        plan_id, chunks, partitions, format, columns, filter, warnings, verify)
     VALUES ($1, $2, $3, $4, $5, $6, $7, 'running', $8, $9, $10, $11, $12, $13, $14, $15)
     ON CONFLICT (run_id) DO UPDATE SET
       status = 'running', plan_id = excluded.plan_id, chunks = excluded.chunks, partitions = excluded.partitions,
       format = excluded.format, columns = excluded.columns, warnings = excluded.warnings,
       message = NULL, finished_at = NULL`,
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
    ],
  );
}

/** What the manifest says of a run that has ended with this plan: a retried commit answers from it. */
export async function findOutcome(
  session: Session,
  runId: string,
  planId: string,
): Promise<{ status: RunStatus; rows: number; bytes: number } | undefined> {
  const [row] = await session.query<{ status: RunStatus; rows: string; bytes: string }>(
    `SELECT status, rows, bytes FROM ${BRONZE}.extraction_runs
      WHERE run_id = $1 AND plan_id = $2 AND status IN ('committed', 'superseded')`,
    [runId, planId],
  );
  return row === undefined
    ? undefined
    : { status: row.status, rows: Number(row.rows), bytes: Number(row.bytes) };
}

/** Closes the manifest of a run whose rows arrived. */
export async function closeManifest(
  session: Session,
  runId: string,
  status: 'committed' | 'superseded',
  totals: LedgerTotals,
  warnings: readonly string[],
): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.extraction_runs
        SET status = $2, rows = $3, bytes = $4, snapshot_at = $5, warnings = warnings || $6::jsonb,
            finished_at = clock_timestamp()
      WHERE run_id = $1`,
    [runId, status, totals.rows, totals.bytes, totals.snapshotAt, JSON.stringify(warnings)],
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
