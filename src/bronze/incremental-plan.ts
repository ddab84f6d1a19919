import type { Protection } from '../contract/incremental.ts';
import type { Cursor, CursorRange } from '../postgres/cursor.ts';
import type { CheckpointOrigin } from './bookkeeping/checkpoints.ts';
import type { Base } from './bookkeeping/targets.ts';

/** The incremental part of a plan, with the rows that bronze had: the commit checks that it still has them. */
export interface IncrementalPlan extends Base {
  /** `full`: there is nothing to continue from, and the rows read replace all that bronze had. */
  readonly extraction: 'full' | 'incremental';
  readonly cursor: Cursor;
  readonly range: CursorRange;
  readonly write: 'append' | 'merge';
  /** The columns that identify a row; empty if the table has no key. */
  readonly key: readonly string[];
  /** True if a key column could be NULL. */
  readonly keyNullable: boolean;
  /** The checkpoint that the plan saw. */
  readonly checkpoint: string | null;
  /** True if this run may move the checkpoint: a backfill of a past range may not. */
  readonly moves: boolean;
  /** What is read; absent if the checkpoint may not move, and from plans of earlier versions. */
  readonly origin?: CheckpointOrigin;
  /** Set if the checkpoint is not known to be of this origin: it is then recorded with it even if it does not move. */
  readonly isOfAnotherOrigin?: true;
  readonly limit: CheckpointLimit;
  readonly schemaChanges: 'evolve' | 'freeze';
  /** Source rows without a cursor value, counted up to a limit; null: the staged rows are counted instead. */
  readonly nullCursors: number | null;
  /** Number of chunks, after those with rows, that carry the keys of all rows; 0 if deletes are not looked for. */
  readonly keyChunks: number;
  readonly currentView: boolean;
}

/** A bound for the checkpoint, and why rows may still commit below it, if they may. */
export type CheckpointLimit = CheckpointBound & { readonly doubt?: Doubt };

/** The value that the checkpoint must not pass, besides the newest value that was read. */
type CheckpointBound =
  /** Time cursors: no transaction that is still open began before `startedAt`. */
  | (Seen & { readonly kind: 'transaction'; readonly seenAt: string; readonly startedAt: string })
  /** Other cursors: whoever was writing when this value was the greatest ended before the snapshot. */
  | (Seen & { readonly kind: 'value'; readonly value: string })
  /** The checkpoint stays where it is, since nothing bounds what may still commit. */
  | { readonly kind: 'hold' }
  /** Open transactions are not visible; time values at least do not pass the source's clock. */
  | { readonly kind: 'unseen'; readonly seenAt: string };

interface Seen {
  /** The end of the log then: a snapshot of an earlier moment, as of a replica that lags, is not bounded by it. */
  readonly logEnd?: string;
}

/** Why rows that commit late may have values below the checkpoint, so that only a lookback finds them. */
export type Doubt =
  /** Some rows are not in ordinary tables of this server: a foreign table, a materialized view. */
  | 'elsewhere'
  /** Logical replication brings the rows, in the order in which the publisher committed them. */
  | 'subscription'
  | 'standby'
  /** The role cannot see when the transactions of others began. */
  | 'privilege'
  /** A session with an open transaction does not show when it began: `track_activities` is off. */
  | 'tracking'
  /** Not a time cursor, and of a view: writers to its underlying tables are not looked for. */
  | 'view'
  /** Not a time cursor, and no index finds its greatest value. */
  | 'index'
  /** Not a time cursor, and values may be taken before their transaction writes to the table. */
  | 'values'
  /** Not a time cursor, and others were still writing when the first checkpoint was taken. */
  | 'writers';

export const protectionOf = ({ kind, doubt }: CheckpointLimit): Protection =>
  kind === 'unseen' || doubt !== undefined ? 'lookback' : 'oldest transaction';
