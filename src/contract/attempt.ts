/**
 * One of the attempts at a piece of work, in the order in which Temporal gave them out.
 *
 * A worker that slept through its time-out wakes up in the middle of an attempt that another worker was
 * given meanwhile. What both write tells by this order which of them may.
 */
export interface Attempt {
  /** When the work was given out first, in milliseconds, by the clock of Temporal: later work comes later. */
  readonly scheduledAt: number;
  /** 1 for the first. */
  readonly number: number;
}
