import type { WorkflowHandle } from '@temporalio/client';

/** Returns the number of the last attempt of each activity that a workflow has started. */
export async function activityAttemptsOf(handle: Pick<WorkflowHandle, 'fetchHistory'>): Promise<number[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(({ activityTaskStartedEventAttributes: started }) => started?.attempt ?? []);
}
