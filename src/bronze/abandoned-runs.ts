import type { RunIdentity } from '../contract/activities.ts';
import type { Session } from '../postgres/session.ts';
import { BRONZE } from './layout.ts';
import { closeFailed } from './manifest.ts';
import { dropPlansOfRun } from './plans.ts';

/** Runs of a namespace of Temporal that the manifest has as under way: of one target, or any where none is named. */
export async function findUnderWay(
  session: Session,
  namespace: string,
  target: string | undefined,
): Promise<RunIdentity[]> {
  return session.query<RunIdentity & Record<string, unknown>>(
    `SELECT run_id AS "runId", workflow_id AS "workflowId" FROM ${BRONZE}.extraction_runs
      WHERE status = 'running' AND namespace = $2 AND ($1::text IS NULL OR target = $1)
     UNION ALL
     SELECT run_id, workflow_id FROM ${BRONZE}.extraction_database_runs
      WHERE status = 'running' AND namespace = $2 AND $1::text IS NULL
     LIMIT 50`,
    [target ?? null, namespace],
  );
}

/** Drops what a run has left whose workflow was terminated, so that it could not do it itself. */
export async function dropAbandoned(session: Session, runId: string): Promise<void> {
  const message = 'The workflow was terminated.';
  await dropPlansOfRun(session, runId);
  await closeFailed(session, runId, { status: 'cancelled', message });
  await session.query(`DELETE FROM ${BRONZE}.extraction_members WHERE run_id = $1`, [runId]);
  await session.query(
    `UPDATE ${BRONZE}.extraction_database_runs SET status = 'cancelled', message = $2, finished_at = clock_timestamp()
      WHERE run_id = $1 AND status = 'running'`,
    [runId, message],
  );
}
