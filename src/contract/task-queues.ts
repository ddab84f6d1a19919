/** The task queue of workers and callers that name no other. */
export const DEFAULT_TASK_QUEUE = 'datakit-postgres';

/**
 * The task queue for snapshot holders, beside the one for everything else.
 *
 * Holders last as long as their runs. If they shared slots with copies, enough concurrent runs would leave no
 * slot to copy with.
 */
export const snapshotTaskQueue = (taskQueue: string): string => `${taskQueue}-snapshots`;

/** The task queue for change streams. They never end, so neither copies nor holders could wait for their slots. */
export const streamTaskQueue = (taskQueue: string): string => `${taskQueue}-streams`;
