import { workflowInfo } from '@temporalio/workflow';
import type { ExtractDatabaseRequest } from '../contract/extract-database.ts';
import { atScheduledTime } from '../contract/scheduled-time.ts';

/** When the run was to begin: what its schedule says, which of a backfill is long ago, or else when it began. */
function scheduledTime(): Date {
  const { searchAttributes, startTime } = workflowInfo();
  const [scheduled] = searchAttributes['TemporalScheduledStartTime'] ?? [];
  return scheduled instanceof Date ? scheduled : startTime;
}

/** The input with its ranges made absolute. It is not checked yet, so that it may be anything. */
export function scheduledInput<T>(request: T): T {
  return typeof request === 'object' && request !== null && !Array.isArray(request)
    ? atScheduledTime(request, scheduledTime())
    : request;
}

/** The same for the settings of each table. */
export function scheduledDatabaseInput(request: ExtractDatabaseRequest): ExtractDatabaseRequest {
  if (typeof request !== 'object' || request === null || !Array.isArray(request.tables)) return request;
  const { defaults, tables } = request;
  return {
    ...request,
    tables: tables.map(scheduledInput),
    ...(defaults !== undefined && { defaults: scheduledInput(defaults) }),
  };
}
