import type { SkippedPartitions } from '../contract/partition-inputs.ts';
import { formatWithin, type TableName } from '../contract/table-name.ts';
import type { IncrementalPlan } from './incremental-plan.ts';
import type { Base } from './bookkeeping/targets.ts';
import type { TypeMapping } from './schema/type-mapping.ts';

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
  /** Of the files of all partitions, in bytes, large values included; of an increment, about what it reads. */
  readonly size: number;
  /** The heap blocks that one chunk has, the same for all partitions. */
  readonly blocksPerChunk: number;
  readonly partitions: readonly PlannedPartition[];
  /** A digest of all partitions that the table had, and of their bounds. */
  readonly tree: string;
  /** Present where the table has partitions, so that every row says which one it came from. */
  readonly partitioned?: true;
  /** Present where partitions were chosen: those that are not read. */
  readonly skipped?: SkippedPartitions;
  /** When the partitions were looked at, by the source's clock. */
  readonly seenAt: string;
  /** A digest of what is read of each row: rows that were read otherwise are not the same. */
  readonly reading: string;
  /** Present where only the partitions that are read are to be replaced. */
  readonly replacement?: PartitionReplacement;
  /** Milliseconds. */
  readonly lockTimeout: number;
  /** Milliseconds. */
  readonly statementTimeout: number | null;
  /** Milliseconds; of the sessions that copy, where the input says so. */
  readonly idleTimeout?: number;
  /** Milliseconds. */
  readonly stallTimeout: number;
  /** Settings of PostgreSQL for the sessions that read, by name. */
  readonly session?: Readonly<Record<string, string>>;
  /** How far a replica may be behind, in milliseconds. */
  readonly maxReplicaLag?: number;
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

/** With the rows that bronze had, where all of them are replaced. */
export interface PartitionReplacement extends Base {
  /** Bronze has rows of no other partitions, so that the table can be exchanged as a whole. */
  readonly whole: boolean;
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
  /** Present where the warehouse fills it with the name of the partition, while rows of it arrive. */
  readonly namesPartition?: true;
  /** As the source calls it. */
  readonly sourceType: string;
}

export interface PlannedPartition extends TableName {
  readonly oid: number;
  readonly fileNode: number;
  /** How its columns are defined; absent from plans of earlier versions. */
  readonly columns?: string;
  readonly blocks: number;
  /** 1 where the partition is read whole; 0 where it is read whole in the chunk of the one before. */
  readonly chunks: number;
  /** The rows of it that are asked for, as SQL, where that may not be all. */
  readonly filter?: string;
  /** What tells whether it changed since; absent where nothing does for sure. */
  readonly evidence?: string;
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
  /** How it is defined, where it is a view: each chunk is a statement of its own. */
  readonly view?: string;
}

export const chunkCount = (plan: Pick<ExtractionPlan, 'partitions' | 'incremental'>): number =>
  rowChunkCount(plan) + (plan.incremental?.keyChunks ?? 0);

/** Those that carry rows; others, after them, carry the keys of all rows. */
export const rowChunkCount = ({ partitions }: Pick<ExtractionPlan, 'partitions'>): number =>
  partitions.reduce((sum, { chunks }) => sum + chunks, 0);

/** Whether the source sends the column; others are made where they land. */
export const isSent = ({ generated, namesPartition }: PlannedColumn): boolean =>
  generated === undefined && namesPartition === undefined;

/** What the rows of a partition say in `_bronze_partition`. */
export const partitionLabel = ({ table }: Pick<ExtractionPlan, 'table'>, partition: TableName): string =>
  formatWithin(table.schema, partition);

/** Whether there is no partition to read where not all rows of bronze are to be replaced: then bronze stays as it is. */
export const readsNothing = ({ skipped, replacement, partitions }: ExtractionPlan): boolean =>
  partitions.length === 0 && (skipped !== undefined || replacement?.whole === false);
