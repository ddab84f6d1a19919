/**
 * An attempt at a piece of work. Attempts are ordered as Temporal handed them out.
 *
 * A worker that slept through its timeout may wake up in the middle of an attempt that another worker has since
 * been given. This order decides which of the two may write.
 */
export interface Attempt {
  /** The id of the activity, which all attempts at it have in common. */
  readonly activityId: string;
  /** When the work was first scheduled, in milliseconds by Temporal's clock: later work has a later time. */
  readonly scheduledAt: number;
  /** When this attempt was scheduled: unlike its number, that grows even if somebody resets the activity. */
  readonly attemptedAt: number;
  /** 1 for the first, and for the first after a reset. */
  readonly number: number;
}
