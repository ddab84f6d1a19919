import { workflowInfo } from '@temporalio/workflow';
import { atScheduledTime, databaseAtScheduledTime } from '../contract/scheduled-time.ts';

/** When the run was to begin: what its schedule says, which of a backfill is long ago, or else when it began. */
function scheduledTime(): Date {
  const { searchAttributes, startTime } = workflowInfo();
  const [scheduled] = searchAttributes['TemporalScheduledStartTime'] ?? [];
  return scheduled instanceof Date ? scheduled : startTime;
}

/** The input with its ranges made absolute. It is not checked yet, so that it may be anything. */
export const scheduledInput = <T>(request: T): T => atScheduledTime(request, scheduledTime());

/** The same for the settings of each table. */
export const scheduledDatabaseInput = <T>(request: T): T => databaseAtScheduledTime(request, scheduledTime());
