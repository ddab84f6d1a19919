import { workflowInfo } from '@temporalio/workflow';

/** From here on a capture leaves what is to come to its next history, and copies of tables to children. */
const MOST_EVENTS = 4_000;

/** Returns true if the history of a capture, or of a child that copies its tables, should not grow much more. */
export function isHistoryLong(): boolean {
  const { historyLength, continueAsNewSuggested } = workflowInfo();
  return historyLength >= MOST_EVENTS || continueAsNewSuggested;
}
