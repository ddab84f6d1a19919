import { workflowInfo } from '@temporalio/workflow';

/** History length from which a workflow that has no end of its own continues as new. */
const MOST_EVENTS = 4_000;

/** Returns true if a workflow that has no end of its own is to continue as new. */
export function isHistoryLong(): boolean {
  const { historyLength, continueAsNewSuggested } = workflowInfo();
  return historyLength >= MOST_EVENTS || continueAsNewSuggested;
}
