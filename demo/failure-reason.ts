import { WorkflowFailedError } from '@temporalio/client';
import { ActivityFailure, ChildWorkflowFailure } from '@temporalio/common';

/** Returns the message for people: that of the innermost cause, since wrappers only say which part failed. */
export function reasonOf(error: unknown): string {
  let reason = error;
  while (isWrapper(reason)) reason = reason.cause;
  return reason instanceof Error ? reason.message : String(reason);
}

function isWrapper(error: unknown): error is Error {
  return [WorkflowFailedError, ActivityFailure, ChildWorkflowFailure].some(
    (wrapper) => error instanceof wrapper,
  );
}
