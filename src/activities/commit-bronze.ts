import { log } from '@temporalio/activity';
import { commitRun } from '../bronze/commit.ts';
import type { CommitRequest, CommitResult } from '../contract/activities.ts';
import type { Dependencies } from './dependencies.ts';
import { measureCommit } from './metrics.ts';
import { runActivity } from './run-activity.ts';

export async function commitBronze(
  { warehouse }: Dependencies,
  request: CommitRequest,
): Promise<CommitResult> {
  return runActivity('committing to bronze', async ({ signal, attempt }) => {
    const result = await commitRun(warehouse, request, { signal, attempt });
    log.info('commit', { planId: request.planId, outcome: result.outcome });
    if (result.outcome !== 'incomplete') measureCommit(result);
    return result;
  });
}
