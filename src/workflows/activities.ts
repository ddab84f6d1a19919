import { ActivityCancellationType, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { Activities, HoldSnapshotRequest, WatchRequest } from '../contract/activities.ts';
import type { CaptureActivities, HoldSlotRequest } from '../contract/capture-activities.ts';
import { snapshotTaskQueue, streamTaskQueue } from '../contract/task-queues.ts';

/** How long a worker may be silent before its work is given to another. */
const HEARTBEAT_TIMEOUT = '10 seconds';

/** How often is decided by kind of failure in contract/failures.ts; this is only the pace. */
const retry = {
  initialInterval: '500 milliseconds',
  backoffCoefficient: 2,
  maximumInterval: '30 seconds',
} as const;

/** Work whose end must be waited for, even when it was cancelled: it may still hold sessions and locks. */
export const { planExtraction, copyChunks, commitBronze } = proxyActivities<Activities>({
  // the heartbeat watches; this only ends what no heartbeat can
  startToCloseTimeout: '1 day',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry,
});

/** The same for captures. */
export const { prepareCapture, planCopy, finishCopy, beginStreaming, changeTables, dropSlot, dropCapture } =
  proxyActivities<CaptureActivities>({
    startToCloseTimeout: '1 day',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    retry,
  });

/** Asked again and again, so that one attempt is enough. */
export const { checkSlot } = proxyActivities<CaptureActivities>({
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry: { maximumAttempts: 1 },
});

/** Asks servers, and changes nothing: what cannot be reached is a finding. */
export const { checkSource } = proxyActivities<Activities>({
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry,
});

export const { maintainBronze } = proxyActivities<Activities>({
  activityId: 'maintain',
  startToCloseTimeout: '1 hour',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry,
});

/** A run that ended must be seen to end, even when the warehouse is away and its staging table stays behind. */
export const { discardStaging } = proxyActivities<Activities>({
  activityId: 'discard',
  startToCloseTimeout: '5 minutes',
  scheduleToCloseTimeout: '10 minutes',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry,
});

/** The same for a run that never got as far as a plan, so that there is hardly anything to drop. */
export const { discardStaging: discardUnplanned } = proxyActivities<Activities>({
  activityId: 'discard',
  scheduleToCloseTimeout: '3 seconds',
  retry,
});

/** Short work in the warehouse, for the record of a run or to steer what is under way. */
export const { resolveTables, readMembers, limitIncrements, pauseCopies, steerTables } =
  proxyActivities<Activities>({
    startToCloseTimeout: '1 hour',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    retry,
  });

export const { copyTables } = proxyActivities<Activities>({
  startToCloseTimeout: '1 day',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry,
});

export const { closeDatabaseRun } = proxyActivities<Activities>({
  activityId: 'close',
  startToCloseTimeout: '5 minutes',
  scheduleToCloseTimeout: '10 minutes',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry,
});

/** Holders have a task queue of their own, and so slots of their own. */
const holders = () =>
  ({
    taskQueue: snapshotTaskQueue(workflowInfo().taskQueue),
    startToCloseTimeout: '30 days',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
  }) as const;

/** It waits most of the time, so it is no work for the slots of copies. */
export const watchProgress = async (request: WatchRequest): Promise<void> =>
  proxyActivities<Activities>({ ...holders(), summary: 'looks how far the run is', retry }).watchProgress(
    request,
  );

/** A second attempt would be a second snapshot, so there is none: the run decides what comes next. */
export const holdSnapshot = async (request: HoldSnapshotRequest): Promise<void> =>
  proxyActivities<Activities>({
    ...holders(),
    activityId: request.holder,
    summary: 'holds a snapshot of the source',
    retry: { maximumAttempts: 1 },
  }).holdSnapshot(request);

/** Attempts that land on the worker of the first holder step back, for another to take them. */
export const holdOnToSnapshot = async (request: HoldSnapshotRequest): Promise<void> =>
  proxyActivities<Activities>({
    ...holders(),
    activityId: request.holder,
    summary: 'holds the same snapshot once more',
    retry: { initialInterval: '1 second', backoffCoefficient: 1 },
  }).holdSnapshot(request);

/** A second attempt would be a second slot, so there is none. It may wait for long: for every transaction that is open. */
export const holdSlot = async (request: HoldSlotRequest): Promise<void> =>
  proxyActivities<CaptureActivities>({
    ...holders(),
    activityId: request.holder,
    summary: 'makes the slot and holds its snapshot',
    retry: { maximumAttempts: 1 },
  }).holdSlot(request);

/** Streams have a task queue of their own too. An attempt ends by itself; this is only the last resort. */
export const streamChanges: CaptureActivities['streamChanges'] = async (request) =>
  proxyActivities<CaptureActivities>({
    taskQueue: streamTaskQueue(workflowInfo().taskQueue),
    startToCloseTimeout: '12 hours',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: `streams from slot ${request.input.slot}`,
    // attempts are counted over all of the half hour that an activity streams, so that the pace grows slowly
    retry: { initialInterval: '500 milliseconds', backoffCoefficient: 1.2, maximumInterval: '10 seconds' },
  }).streamChanges(request);
