import type { RunIdentity } from '../../contract/run-identity.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE } from '../layout.ts';
import { forgetMembers } from './database-runs.ts';
import { closeFailed } from './manifest.ts';
import { dropPlansOfRun } from './plans.ts';

export interface RunUnderWay extends RunIdentity {
  /** The Temporal namespace of its workflow. */
  readonly namespace: string;
}

export interface UnderWay {
  readonly namespaces: readonly string[];
  /** Any target if left out. */
  readonly target?: string;
  /** The last run id of the previous page. */
  readonly after?: string;
}

/** Runs per page. */
export const PAGE_OF_RUNS = 50;

/** Finds runs that the manifest has as running, ordered by id. */
export async function findUnderWay(
  session: Session,
  { namespaces, target, after }: UnderWay,
): Promise<RunUnderWay[]> {
  return session.query<RunUnderWay & Record<string, unknown>>(
    `SELECT * FROM (
       SELECT run_id AS "runId", workflow_id AS "workflowId", namespace FROM ${BRONZE}.extraction_runs
        WHERE status = 'running' AND ($1::text IS NULL OR target = $1)
       UNION ALL
       SELECT run_id, workflow_id, namespace FROM ${BRONZE}.extraction_database_runs
        WHERE status = 'running' AND $1::text IS NULL) AS under_way
      WHERE namespace = ANY ($2) AND ($3::text IS NULL OR "runId" > $3)
      ORDER BY "runId" LIMIT ${PAGE_OF_RUNS}`,
    [target ?? null, namespaces, after ?? null],
  );
}

/** Returns the targets that runs other than these are writing, or were writing when they were abandoned. */
export async function findTargetsUnderWay(
  session: Session,
  {
    namespace,
    targets,
    runIds,
  }: Record<'targets' | 'runIds', readonly string[]> & { readonly namespace: string },
): Promise<ReadonlySet<string>> {
  const rows = await session.query<{ target: string }>(
    `SELECT target FROM ${BRONZE}.extraction_runs
      WHERE status = 'running' AND target = ANY ($1) AND namespace = $2 AND run_id <> ALL ($3)`,
    [targets, namespace, runIds],
  );
  return new Set(rows.map(({ target }) => target));
}

export async function stagingTablesOf(session: Session, runId: string): Promise<string[]> {
  const rows = await session.query<{ name: string }>(
    `SELECT staging_table AS name FROM ${BRONZE}.extraction_plans WHERE run_id = $1`,
    [runId],
  );
  return rows.map(({ name }) => name);
}

/** Cleans up after a run whose workflow was terminated and so could not do it itself. */
export async function dropAbandoned(session: Session, runId: string): Promise<void> {
  const message = 'The workflow was terminated.';
  await dropPlansOfRun(session, runId);
  await closeFailed(session, runId, { status: 'cancelled', message });
  await forgetMembers(session, runId);
  await session.query(
    `UPDATE ${BRONZE}.extraction_database_runs SET status = 'cancelled', message = $2, finished_at = clock_timestamp()
      WHERE run_id = $1 AND status = 'running'`,
    [runId, message],
  );
}
