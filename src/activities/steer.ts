import { log } from '@temporalio/activity';
import { closeDatabaseRecord, steer } from '../bronze/bookkeeping/database-runs.ts';
import { pausePlan } from '../bronze/bookkeeping/plans.ts';
import type { PauseRequest } from '../contract/activities.ts';
import type { CloseDatabaseRunRequest, SteerTablesRequest } from '../contract/database-activities.ts';
import { commitHere } from '../postgres/commit-here.ts';
import type { Session } from '../postgres/session.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

export async function pauseCopies(
  dependencies: Dependencies,
  { planId, paused }: PauseRequest,
): Promise<void> {
  await inWarehouse(dependencies, paused ? 'pausing' : 'resuming', async (session) =>
    pausePlan(session, planId, paused),
  );
}

export async function steerTables(
  dependencies: Dependencies,
  { runId, ...wanted }: SteerTablesRequest,
): Promise<void> {
  await inWarehouse(dependencies, 'steering the run', async (session) => steer(session, runId, wanted));
}

export async function closeDatabaseRun(
  dependencies: Dependencies,
  request: CloseDatabaseRunRequest,
): Promise<void> {
  const isDone = request.status === 'complete' || request.status === 'partial';
  await inWarehouse(
    dependencies,
    'closing the record of the run',
    async (session) => {
      if (!isDone) await commitHere(session);
      await closeDatabaseRecord(session, request);
    },
    // a run that failed because the warehouse is read-only must not wait for it again
    isDone,
  );
  log.info('closed', { runId: request.runId, status: request.status });
}

async function inWarehouse<T>(
  { warehouse, ready }: Dependencies,
  purpose: string,
  work: (session: Session) => Promise<T>,
  underWay = true,
): Promise<T> {
  return runActivity(
    purpose,
    async ({ signal }) => {
      await ready();
      return warehouse.write({ signal }, work);
    },
    { underWay },
  );
}
