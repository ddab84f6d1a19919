import { ActivityCancellationType, proxyActivities, workflowInfo } from '@temporalio/workflow';
import type { Activities } from '../contract/activities.ts';
import type { WatchRequest } from '../contract/observed.ts';
import type { HoldSnapshotRequest } from '../contract/snapshot.ts';
import type { CaptureActivities, HoldSlotRequest } from '../contract/capture-activities.ts';
import { snapshotTaskQueue, streamTaskQueue } from '../contract/task-queues.ts';

/** How long a worker may be silent before its work goes to another. */
const HEARTBEAT_TIMEOUT = '10 seconds';

/** The pace only; how often is decided per kind of failure in contract/failures.ts. */
const retry = {
  initialInterval: '500 milliseconds',
  backoffCoefficient: 2,
  maximumInterval: '30 seconds',
} as const;

/** Work that must be waited for even when cancelled: it may still hold sessions and locks. */
export const { planExtraction, copyChunks, commitBronze } = proxyActivities<Activities>({
  // the heartbeat detects dead workers; this only ends what no heartbeat can
  startToCloseTimeout: '1 day',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry,
});

/** Likewise, for captures. */
export const {
  prepareCapture,
  copySmallTables,
  planCopy,
  finishCopy,
  beginStreaming,
  changeTables,
  dropSlot,
  dropCapture,
} = proxyActivities<CaptureActivities>({
  startToCloseTimeout: '1 day',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
  retry,
});

/** Called repeatedly, so one attempt is enough. */
export const { checkSlot } = proxyActivities<CaptureActivities>({
  startToCloseTimeout: '1 minute',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry: { maximumAttempts: 1 },
});

/** Queries servers and changes nothing: an unreachable server is a finding. */
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

/** A run that has ended must be seen to end, even if the warehouse is away and its staging table stays behind. */
export const { discardStaging } = proxyActivities<Activities>({
  activityId: 'discard',
  startToCloseTimeout: '5 minutes',
  scheduleToCloseTimeout: '10 minutes',
  heartbeatTimeout: HEARTBEAT_TIMEOUT,
  retry,
});

/** Likewise, for a run that never got as far as a plan and has hardly anything to drop. */
export const { discardStaging: discardUnplanned } = proxyActivities<Activities>({
  activityId: 'discard',
  scheduleToCloseTimeout: '3 seconds',
  retry,
});

/** Short work in the warehouse, to record a run or to steer what is under way. */
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

/** Holders have their own task queue, and so their own slots. */
const holders = () =>
  ({
    taskQueue: snapshotTaskQueue(workflowInfo().taskQueue),
    startToCloseTimeout: '30 days',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    cancellationType: ActivityCancellationType.TRY_CANCEL,
  }) as const;

/** Runs on the task queue of holders: it mostly waits, and should take no slot from copies. */
export const watchProgress = async (request: WatchRequest): Promise<void> =>
  proxyActivities<Activities>({
    ...holders(),
    summary: 'watches the progress of the run',
    retry,
  }).watchProgress(request);

/** Has one attempt only, since a second would be a second snapshot: the run decides what comes next. */
export const holdSnapshot = async (request: HoldSnapshotRequest): Promise<void> =>
  proxyActivities<Activities>({
    ...holders(),
    activityId: request.holder,
    summary: 'holds a snapshot of the source',
    retry: { maximumAttempts: 1 },
  }).holdSnapshot(request);

/** Attempts that land on the first holder's worker step back, so that another worker takes them. */
export const holdOnToSnapshot = async (request: HoldSnapshotRequest): Promise<void> =>
  proxyActivities<Activities>({
    ...holders(),
    activityId: request.holder,
    summary: 'holds the same snapshot once more',
    retry: { initialInterval: '1 second', backoffCoefficient: 1 },
  }).holdSnapshot(request);

/** Has one attempt only, since a second would be a second slot. May wait long, for every open transaction. */
export const holdSlot = async (request: HoldSlotRequest): Promise<void> =>
  proxyActivities<CaptureActivities>({
    ...holders(),
    activityId: request.holder,
    summary: 'makes the slot and holds its snapshot',
    retry: { maximumAttempts: 1 },
  }).holdSlot(request);

/** Streams have their own task queue too. An attempt ends by itself; the timeout is only the last resort. */
export const streamChanges: CaptureActivities['streamChanges'] = async (request) =>
  proxyActivities<CaptureActivities>({
    taskQueue: streamTaskQueue(workflowInfo().taskQueue),
    startToCloseTimeout: '12 hours',
    heartbeatTimeout: HEARTBEAT_TIMEOUT,
    cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    summary: `streams from slot ${request.input.slot}`,
    // attempts add up over the half hour that an activity streams, so the pace grows slowly
    retry: { initialInterval: '500 milliseconds', backoffCoefficient: 1.2, maximumInterval: '10 seconds' },
  }).streamChanges(request);
