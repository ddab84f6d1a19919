import type { WorkflowHandle } from '@temporalio/client';
import { waitUntil } from './wait-until.ts';

/** Waits for a failed activity that is being retried, and returns its last failure, as people see it. */
export async function pendingFailure(handle: WorkflowHandle): Promise<string> {
  let message = '';
  await waitUntil(async () => {
    const { raw } = await handle.describe();
    message = raw.pendingActivities?.map(({ lastFailure }) => lastFailure?.message ?? '').join('') ?? '';
    return message !== '';
  });
  return message;
}
