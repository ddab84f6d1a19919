import type { WorkflowHandle } from '@temporalio/client';

/** Returns the types of the activities that the current history of a workflow has scheduled, in order. */
export async function scheduledActivitiesOf(handle: Pick<WorkflowHandle, 'fetchHistory'>): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).flatMap(
    ({ activityTaskScheduledEventAttributes: scheduled }) => scheduled?.activityType?.name ?? [],
  );
}
