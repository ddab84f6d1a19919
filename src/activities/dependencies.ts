import type { Database } from '../postgres/database.ts';

/** The dependencies of the activities, created once by the worker from its environment. */
export interface Dependencies {
  /** Identifies this worker's process. */
  readonly worker: string;
  /** True once the worker was asked to stop, and should only finish what it has begun. */
  readonly isStopping: () => boolean;
  readonly warehouse: Database;
  /**
   * Brings the bookkeeping in the warehouse up to date, before its first use: also where an earlier version has begun the
   * work, and the warehouse was away when this worker started.
   */
  readonly ready: () => Promise<void>;
  /** @throws DatakitError of kind UnknownSource */
  readonly sourceNamed: (name: string) => Database;
  /** Returns whether the namespace has the search attributes of this project. */
  readonly searchAttributesKnown: () => Promise<boolean>;
  /** Like {@link sourceNamed}, with a pool of its own, so that snapshots do not take the sessions of copies. */
  readonly holdingSourceNamed: (name: string) => Database;
  /** Separate pools for long-running streams, so that they do not take the sessions of copies. */
  readonly streamingSourceNamed: (name: string) => Database;
  readonly streamingWarehouse: Database;
}
