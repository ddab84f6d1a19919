/** Where workers listen, where neither they nor their callers say otherwise. */
export const DEFAULT_TASK_QUEUE = 'datakit-postgres';

/**
 * The task queue for holders of snapshots, beside the one for all else.
 *
 * Holders last as long as their runs. Were they to share slots with copies, enough runs at once
 * would leave no slot to copy with.
 */
export const snapshotTaskQueue = (taskQueue: string): string => `${taskQueue}-snapshots`;

/** The task queue for streams of changes. They last for ever: neither copies nor holders could wait for their slots. */
export const streamTaskQueue = (taskQueue: string): string => `${taskQueue}-streams`;
