import type { Database } from '../postgres/database.ts';

/** What the activities work with; made once by the worker, from its environment. */
export interface Dependencies {
  /** Tells this worker's process from others. */
  readonly worker: string;
  /** Whether it was asked to stop, and is only to finish what it has. */
  readonly isStopping: () => boolean;
  readonly warehouse: Database;
  /** The bookkeeping in the warehouse, brought up to date before its first use. */
  readonly ready: () => Promise<void>;
  /** @throws DatakitError of kind UnknownSource */
  readonly sourceNamed: (name: string) => Database;
  /** Whether the namespace knows the search attributes of this project. */
  readonly searchAttributesKnown: () => Promise<boolean>;
  /** Like {@link sourceNamed}, with sessions apart, so that holders of snapshots leave those of the copies alone. */
  readonly holdingSourceNamed: (name: string) => Database;
  /** Sessions apart for streams, which last: they leave those of the copies alone. */
  readonly streamingSourceNamed: (name: string) => Database;
  readonly streamingWarehouse: Database;
}
