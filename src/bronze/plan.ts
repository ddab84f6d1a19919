import type { SkippedPartitions } from '../contract/partition-inputs.ts';
import { formatWithin, type TableName } from '../contract/table-name.ts';
import type { IncrementalPlan } from './incremental-plan.ts';
import type { Base } from './bookkeeping/targets.ts';
import type { TypeMapping } from './schema/type-mapping.ts';

/** Everything that a run decided before it copied the first row. Stored as jsonb with its staging table. */
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
  /** Bytes in the files of all partitions, TOAST included; for an increment, about what it reads. */
  readonly size: number;
  /** Heap blocks per chunk, the same for all partitions. */
  readonly blocksPerChunk: number;
  readonly partitions: readonly PlannedPartition[];
  /** Digest of all partitions that the table had, and of their bounds. */
  readonly tree: string;
  /** Present if the table has partitions, so that every row says which one it came from. */
  readonly partitioned?: true;
  /** Present if partitions were chosen: how many are not read. */
  readonly skipped?: SkippedPartitions;
  /** When the partitions were looked at, by the source's clock. */
  readonly seenAt: string;
  /** The position in the log of the source from which on rows are proven by the evidence of their partition. */
  readonly provenFrom?: string;
  /** Digest of what is read of each row: rows that were read differently are not the same. */
  readonly reading: string;
  /** Present if only the partitions that are read are replaced. */
  readonly replacement?: PartitionReplacement;
  /** Milliseconds. */
  readonly lockTimeout: number;
  /** Milliseconds. */
  readonly statementTimeout: number | null;
  /** Milliseconds, for the sessions that copy; absent if the input does not set it. */
  readonly idleTimeout?: number;
  /** Milliseconds. */
  readonly stallTimeout: number;
  /** PostgreSQL settings for the sessions that read, by name. */
  readonly session?: Readonly<Record<string, string>>;
  /** Milliseconds that a replica may be behind. */
  readonly maxReplicaLag?: number;
  readonly warnings: readonly string[];
  /**
   * Its place among plan numbers if it is newer than the snapshot that it reads: a number that was taken before the
   * snapshot. A bigint, as text.
   */
  readonly order?: string;
  readonly incremental?: IncrementalPlan;
  /** Present if every column is verified by checksum. */
  readonly hash?: DigestHash;
  /** Present if row-level security must not hide rows: the server then fails instead of filtering. */
  readonly requireAllRows?: true;
  /** Present if the content of large objects is extracted. */
  readonly largeObjects?: LargeObjectPlan;
}

export interface LargeObjectPlan {
  /** The columns with their OIDs. */
  readonly columns: readonly string[];
  /** Objects of more bytes go to the companion table, in parts of this size. */
  readonly partSize: number;
  readonly missing: 'null' | 'refuse';
  /** The companion table in the schema bronze. */
  readonly target: string;
}

/** Includes the rows that bronze had, which the commit checks when it replaces all of them. */
export interface PartitionReplacement extends Base {
  /** True if bronze has no rows of other partitions, so that the table can be exchanged as a whole. */
  readonly whole: boolean;
}

/** The function that turns the text of a value into a number, alike on both servers. */
export type DigestHash = 'hashtext' | 'md5';

export interface PlannedColumn extends TypeMapping {
  readonly name: string;
  /** The source column that it comes from, if that has another name. */
  readonly from?: string;
  /** For the content of a large object: the most bytes that the column takes of one. */
  readonly limit?: number;
  /** SQL by which the warehouse computes it during the load; then the source sends nothing for it. */
  readonly generated?: string;
  /** Present if the warehouse fills it with the name of the partition during the load. */
  readonly namesPartition?: true;
  /** The name of the type in the source. */
  readonly sourceType: string;
}

export interface PlannedPartition extends TableName {
  readonly oid: number;
  readonly fileNode: number;
  /** Definition of its columns and of its policies, as one text; absent from plans of earlier versions. */
  readonly columns?: string;
  /** Present if policies decide which of its rows the role is shown. */
  readonly rowSecurity?: true;
  readonly blocks: number;
  /** 1 if the partition is read whole; 0 if it is read whole in the chunk of a preceding one. */
  readonly chunks: number;
  /** SQL for the rows of it that are asked for, if those may not be all. */
  readonly filter?: string;
  /** Stays the same only while its rows do; absent if nothing proves that. */
  readonly evidence?: string;
  /** Present if it is cut by the values of a column instead of by its blocks. */
  readonly key?: PlannedKey;
}

export interface PlannedKey {
  readonly column: string;
  /** SQL type of the boundaries. */
  readonly type: string;
  /** Ascending; ranges lie below the first, between two, and from the last on. */
  readonly boundaries: readonly string[];
  /** True if it is NOT NULL only as a foreign table declares, which nobody checks and the planner trusts. */
  readonly doubtful: boolean;
  /** Definition of the view, if it is one: each chunk is a statement of its own. */
  readonly view?: string;
}

export const chunkCount = (plan: Pick<ExtractionPlan, 'partitions' | 'incremental'>): number =>
  rowChunkCount(plan) + (plan.incremental?.keyChunks ?? 0);

/** Counts the chunks that carry rows; those after them carry the keys of all rows. */
export const rowChunkCount = ({ partitions }: Pick<ExtractionPlan, 'partitions'>): number =>
  partitions.reduce((sum, { chunks }) => sum + chunks, 0);

/** Returns true if the source sends the column; others are filled in the warehouse. */
export const isSent = ({ generated, namesPartition }: PlannedColumn): boolean =>
  generated === undefined && namesPartition === undefined;

/** Returns the `_bronze_partition` of a partition's rows. */
export const partitionLabel = ({ table }: Pick<ExtractionPlan, 'table'>, partition: TableName): string =>
  formatWithin(table.schema, partition);

/** Returns true if there is no partition to read and not all rows are replaced: bronze then stays as it is. */
export const readsNothing = ({ skipped, replacement, partitions }: ExtractionPlan): boolean =>
  partitions.length === 0 && (skipped !== undefined || replacement?.whole === false);
