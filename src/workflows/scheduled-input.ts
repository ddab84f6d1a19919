import { workflowInfo } from '@temporalio/workflow';
import { atScheduledTime, databaseAtScheduledTime } from '../contract/scheduled-time.ts';

/** Returns when the run was due: as its schedule says, long ago for a backfill, or else when it started. */
function scheduledTime(): Date {
  const { searchAttributes, startTime } = workflowInfo();
  const [scheduled] = searchAttributes['TemporalScheduledStartTime'] ?? [];
  return scheduled instanceof Date ? scheduled : startTime;
}

/** Returns the input with its ranges made absolute. It is not validated yet, so it may be anything. */
export const scheduledInput = <T>(request: T): T => atScheduledTime(request, scheduledTime());

/** Likewise, for the settings of each table. */
export const scheduledDatabaseInput = <T>(request: T): T => databaseAtScheduledTime(request, scheduledTime());
