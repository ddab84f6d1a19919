import type { Protection } from '../contract/incremental.ts';
import type { Cursor, CursorRange } from '../postgres/cursor.ts';
import type { Base } from './bookkeeping/targets.ts';

/** What a plan says of an incremental run, with the rows that bronze had: the commit asks whether it still has them. */
export interface IncrementalPlan extends Base {
  /** `full`: there is nothing to go on from, so that the rows read take the place of all that were there. */
  readonly extraction: 'full' | 'incremental';
  readonly cursor: Cursor;
  readonly range: CursorRange;
  readonly write: 'append' | 'merge';
  /** What identifies a row; nothing where the table has no key. */
  readonly key: readonly string[];
  /** Whether a column of the key could be NULL. */
  readonly keyNullable: boolean;
  /** The checkpoint that the plan saw. */
  readonly checkpoint: string | null;
  /** Whether this run may move the checkpoint: a backfill of a past range may not. */
  readonly moves: boolean;
  readonly limit: CheckpointLimit;
  readonly schemaChanges: 'evolve' | 'freeze';
  /** Rows without a cursor value in the source, as far as they were counted; null: the commit counts them. */
  readonly nullCursors: number | null;
  /** How many chunks, after those of the rows, carry the keys of all rows; 0 where deletes are not looked for. */
  readonly keyChunks: number;
  readonly currentView: boolean;
}

/** What the checkpoint must not pass, and why rows may still commit below it, where they may. */
export type CheckpointLimit = CheckpointBound & { readonly doubt?: Doubt };

/** What the checkpoint must not pass, besides the newest value that was read. */
type CheckpointBound =
  /** Values of time: a transaction that is still open began at `startedAt` at the earliest. */
  | { readonly kind: 'transaction'; readonly seenAt: string; readonly startedAt: string }
  /** Values that count: all who were writing when this value was the greatest have ended before the snapshot. */
  | { readonly kind: 'value'; readonly value: string }
  /** It stays where it is, since who may still commit cannot be bounded. */
  | { readonly kind: 'hold' }
  /** Open transactions are not seen; values of time at least do not pass the source's clock. */
  | { readonly kind: 'unseen'; readonly seenAt: string };

/** Why rows that commit late may have smaller values than the checkpoint, so that only a lookback finds them. */
export type Doubt =
  /** Some rows are not in ordinary tables of this server: a foreign table, a materialized view. */
  | 'elsewhere'
  /** Logical replication brings the rows, in the order in which its publisher committed them. */
  | 'subscription'
  | 'standby'
  /** The role does not see when the transactions of others began. */
  | 'privilege'
  /** Values that count, of a view: who writes to the tables beneath it is not looked for. */
  | 'view'
  /** Values that count, of which the greatest is not had at once. */
  | 'index'
  /** Values that count, and may be taken before their transaction writes to the table. */
  | 'values'
  /** Values that count: others were still writing when the first checkpoint was taken. */
  | 'writers';

export const protectionOf = ({ kind, doubt }: CheckpointLimit): Protection =>
  kind === 'unseen' || doubt !== undefined ? 'lookback' : 'oldest transaction';
