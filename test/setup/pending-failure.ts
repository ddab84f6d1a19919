import type { WorkflowHandle } from '@temporalio/client';
import { waitUntil } from './wait-until.ts';

/** What people see of a run whose activity failed and is tried again: the text of its last failure. */
export async function pendingFailure(handle: WorkflowHandle): Promise<string> {
  let message = '';
  await waitUntil(async () => {
    const { raw } = await handle.describe();
    message = raw.pendingActivities?.map(({ lastFailure }) => lastFailure?.message ?? '').join('') ?? '';
    return message !== '';
  });
  return message;
}
