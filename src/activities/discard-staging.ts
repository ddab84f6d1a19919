import { feedOf } from '../bronze/layout.ts';
import { closeFailed, recordUnplanned } from '../bronze/bookkeeping/manifest.ts';
import { dropPlansOfRun } from '../bronze/bookkeeping/plans.ts';
import type { DiscardRequest } from '../contract/run-outcome.ts';
import { commitHere } from '../postgres/commit-here.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

export async function discardStaging(
  { warehouse, ready }: Dependencies,
  { runId, workflowId, outcome, member }: DiscardRequest,
): Promise<void> {
  await runActivity('dropping what the run had staged', async ({ signal }) => {
    await ready();
    const limits = { run: runId, signal };
    await warehouse.write(limits, async (session) => {
      await commitHere(session); // a run that is cancelled ends, whatever is away
      await dropPlansOfRun(session, runId);
      await closeFailed(session, runId, outcome);
      if (member === undefined) return;
      const { databaseRunId, input } = member;
      await recordUnplanned(session, { runId, workflowId, databaseRunId, ...feedOf(input), ...outcome });
    });
  });
}
