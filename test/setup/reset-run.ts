import type { WorkflowHandle } from '@temporalio/client';
import type { Lab } from './lab.ts';

/** Begins a workflow again after the first or the last of its tasks, as `temporal workflow reset` does. */
export async function resetRun(
  lab: Lab,
  { workflowId }: Pick<WorkflowHandle, 'workflowId'>,
  after: 'first task' | 'last task',
): Promise<WorkflowHandle> {
  const handle = lab.temporal.workflow.getHandle(workflowId);
  const { events } = await handle.fetchHistory();
  const tasks = events?.filter((event) => event.workflowTaskCompletedEventAttributes) ?? [];
  await lab.temporal.workflowService.resetWorkflowExecution({
    namespace: 'default',
    workflowExecution: { workflowId },
    requestId: `${workflowId} ${after}`,
    workflowTaskFinishEventId: tasks.at(after === 'first task' ? 0 : -1)?.eventId ?? null,
  });
  return handle;
}
