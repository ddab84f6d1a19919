import type { TableName } from '../contract/table-name.ts';
import type { IncrementalPlan } from './incremental-plan.ts';
import type { TypeMapping } from './type-mapping.ts';

/** Everything that a run decided before it copied the first row. Kept as jsonb beside its staging table. */
export interface ExtractionPlan {
  /** The name of the source, resolved by the worker's environment. */
  readonly source: string;
  /** `postgresql://host/database`, without credentials. */
  readonly sourceUri: string;
  readonly table: TableName;
  /** The table in the schema bronze. */
  readonly target: string;
  readonly columns: readonly PlannedColumn[];
  readonly where: string | null;
  readonly format: 'binary' | 'text';
  /** The heap blocks that one chunk has, the same for all partitions. */
  readonly blocksPerChunk: number;
  readonly partitions: readonly PlannedPartition[];
  /** Milliseconds. */
  readonly statementTimeout: number | null;
  /** Milliseconds. */
  readonly stallTimeout: number;
  readonly warnings: readonly string[];
  /**
   * Where it stands among the numbers of plans, when it was made after the snapshot that it reads:
   * a number taken before that. A bigint, as text.
   */
  readonly order?: string;
  readonly incremental?: IncrementalPlan;
  /** Present where every column is to be verified by its checksum. */
  readonly hash?: DigestHash;
  /** Present where row-level security must not hide a row: the server then refuses to filter. */
  readonly requireAllRows?: true;
  /** Present where the content of large objects is to be had. */
  readonly largeObjects?: LargeObjectPlan;
}

export interface LargeObjectPlan {
  /** Columns with their OIDs. */
  readonly columns: readonly string[];
  /** Larger objects go in parts of so many bytes to the companion table. */
  readonly partSize: number;
  readonly missing: 'null' | 'refuse';
  /** The companion table in the schema bronze. */
  readonly target: string;
}

/** How the text of a value becomes a number on both servers. */
export type DigestHash = 'hashtext' | 'md5';

export interface PlannedColumn extends TypeMapping {
  readonly name: string;
  /** The column of the source that it comes from, where it is not the one of its own name. */
  readonly from?: string;
  /** Where it is the content of a large object: the most bytes that the column takes of one. */
  readonly limit?: number;
  /** SQL by which the warehouse computes it while rows arrive; then the source sends nothing for it. */
  readonly generated?: string;
  /** As the source calls it. */
  readonly sourceType: string;
}

export interface PlannedPartition extends TableName {
  readonly oid: number;
  readonly fileNode: number;
  readonly blocks: number;
  /** 1 where the partition is read whole. */
  readonly chunks: number;
  /** Where it is cut by the values of a column and not by its blocks. */
  readonly key?: PlannedKey;
}

export interface PlannedKey {
  readonly column: string;
  /** Of the boundaries, as SQL. */
  readonly type: string;
  /** Ascending; ranges lie below the first, between two, and from the last on. */
  readonly boundaries: readonly string[];
  /** NOT NULL by the word of a foreign table, which nobody checks and the planner believes. */
  readonly doubtful: boolean;
}

export const chunkCount = (plan: Pick<ExtractionPlan, 'partitions' | 'incremental'>): number =>
  rowChunkCount(plan) + (plan.incremental?.keyChunks ?? 0);

/** Those that carry rows; others, after them, carry the keys of all rows. */
export const rowChunkCount = ({ partitions }: Pick<ExtractionPlan, 'partitions'>): number =>
  partitions.reduce((sum, { chunks }) => sum + chunks, 0);

/** Whether the source sends the column; others are made from it where they land. */
export const isSent = ({ generated }: PlannedColumn): boolean => generated === undefined;
