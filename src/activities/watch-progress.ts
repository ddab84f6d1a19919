import { Context } from '@temporalio/activity';
import { WorkflowNotFoundError } from '@temporalio/common';
import { PROGRESS_OBSERVED_SIGNAL, type Observed, type WatchRequest } from '../contract/observed.ts';
import { RunObserver } from '../extraction/copy/run-observer.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

/** Holds no session while it waits. A signal costs four history events; an activity per look would cost six. */
export async function watchProgress(
  { warehouse }: Dependencies,
  { pace, ...request }: WatchRequest,
): Promise<void> {
  return runActivity('reading the ledger', async ({ signal }) => {
    const observer = new RunObserver(request);
    const limits = { signal };
    for (;;) {
      const observed = await warehouse.write(limits, async (session) => observer.look(session));
      if (!(await tell(observed))) return;
      await Context.current().sleep(pace);
    }
  });
}

/** @returns false if the workflow is gone */
async function tell(observed: Observed): Promise<boolean> {
  const { client, info } = Context.current();
  if (info.workflowExecution === undefined) return false;
  const { workflowId, runId } = info.workflowExecution;
  try {
    await client.workflow.getHandle(workflowId, runId).signal(PROGRESS_OBSERVED_SIGNAL, observed);
    return true;
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
}
