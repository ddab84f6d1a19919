import type { ChangeRows } from '../bronze/cdc/change-rows.ts';
import type { MirrorBatch, RowMove } from '../bronze/cdc/mirror-batch.ts';
import type { LastChange } from '../bronze/cdc/positions.ts';
import type { Relation } from '../postgres/replication/pgoutput.ts';

/** A boundary between transactions: the position there, and what came before. */
export interface Boundary {
  readonly position: string;
  /** ISO 8601; null if no transaction ended. */
  readonly committedAt: string | null;
  /** The last change logged; null if none was. */
  readonly last: LastChange | null;
  readonly transactions: number;
}

/** A part of the stream, as large as may be buffered. */
export interface Segment {
  readonly rows: ChangeRows;
  /** By table, in the order of the stream; only for tables that have a copy. */
  readonly mirror: ReadonlyMap<string, readonly MirrorStep[]>;
  /** Tables that the publication sends but the capture does not have. */
  readonly relations: readonly Relation[];
  /** Absent if it ends in the middle of a transaction. */
  readonly end: Boundary | undefined;
}

/** A step of applying changes to the copy of a table. */
export type MirrorStep =
  | {
      readonly kind: 'relation';
      readonly relation: Relation;
      /** Indexes of the columns that the following batches use as the key. */
      readonly key: readonly number[];
    }
  | { readonly kind: 'batch'; readonly batch: MirrorBatch }
  /** The table comes under another name from here on, in a transaction that commits at `commitLsn`. */
  | { readonly kind: 'renamed'; readonly to: string; readonly commitLsn: string }
  /** A row arrived without all of its values. The reason is the end of a sentence. */
  | { readonly kind: 'unknown row'; readonly reason: string }
  | { readonly kind: 'move'; readonly columns: readonly string[]; readonly move: RowMove };
