import { log } from '@temporalio/activity';
import { commitRun } from '../bronze/commit/commit.ts';
import { readPlan } from '../bronze/bookkeeping/plans.ts';
import type { CopiedPartitions } from '../contract/observed.ts';
import type { CommitRequest, CommitResult } from '../contract/run-outcome.ts';
import { copiedPartitions } from '../extraction/copy/run-observer.ts';
import type { Database } from '../postgres/database.ts';
import type { Session } from '../postgres/session.ts';
import type { Dependencies } from './dependencies.ts';
import { measureCommit } from './metrics.ts';
import { runActivity } from './run-activity.ts';

export async function commitBronze(
  { warehouse, ready }: Dependencies,
  request: CommitRequest,
): Promise<CommitResult> {
  return runActivity(
    'committing to bronze',
    async ({ signal, attempt }) => {
      await ready();
      // before the commit deletes the plan
      const partitions =
        request.tellPartitions === true ? await lastLook(warehouse, request, signal) : undefined;
      const result = await commitRun(warehouse, request, { signal, attempt });
      log.info('commit', { planId: request.planId, outcome: result.outcome });
      if (result.outcome === 'incomplete') return result;
      measureCommit(result);
      return { ...result, ...(partitions !== undefined && { partitions }) };
    },
    { underWay: true },
  );
}

/** Reads the final partition counts. Only informational, so errors are ignored: the commit reports its own. */
async function lastLook(
  warehouse: Database,
  { planId, runId }: CommitRequest,
  signal: AbortSignal,
): Promise<CopiedPartitions | undefined> {
  const limits = { run: runId, signal };
  const look = async (session: Session) => copiedPartitions(session, await readPlan(session, planId, runId));
  return warehouse.write(limits, look).catch(() => undefined);
}
