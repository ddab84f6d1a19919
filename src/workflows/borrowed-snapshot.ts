import { condition } from '@temporalio/workflow';
import { isSnapshot, type Snapshot } from '../contract/snapshot.ts';
import { isSnapshotLost } from './failure.ts';
import { hear } from './hear.ts';
import { sharedSnapshotSignal } from './messages.ts';
import type { SnapshotLender } from './snapshot-relay.ts';

/** How long to wait for news of another holder: a lost one is noticed only when its heartbeat fails to come. */
const HEARD_WITHIN = '1 minute';

/** The snapshot of a whole database run, as lent to one of its tables; the parent says which session exports it. */
export class BorrowedSnapshot implements SnapshotLender {
  #now: Snapshot;

  constructor(first: Snapshot) {
    this.#now = first;
    const description = 'Internal, from the run of all tables.';
    const borrow = (snapshot: Snapshot) => void (this.#now = snapshot);
    hear(sharedSnapshotSignal, isSnapshot, borrow, description);
  }

  get takenAt(): string {
    return this.#now.takenAt;
  }

  async lend<T>(work: (snapshot: Snapshot) => Promise<T>): Promise<T> {
    for (;;) {
      const used = this.#now;
      try {
        return await work(used);
      } catch (error) {
        if (!isSnapshotLost(error)) throw error;
        if (!(await condition(() => this.#now.id !== used.id, HEARD_WITHIN))) throw error;
      }
    }
  }
}
