import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ChildWorkflowFailure } from '@temporalio/common';

const WRAPPERS = [WorkflowFailedError, ActivityFailure, ChildWorkflowFailure];

/** What a person should read of an error: what is inside those that only say which part failed. */
export function reasonOf(error: unknown): string {
  let reason = error;
  while (WRAPPERS.some((wrapper) => reason instanceof wrapper)) reason = (reason as Error).cause;
  return reason instanceof Error ? reason.message : String(reason);
}
