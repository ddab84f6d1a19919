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
  readonly incremental?: IncrementalPlan;
}

export interface PlannedColumn extends TypeMapping {
  readonly name: string;
  /** As the source calls it. */
  readonly sourceType: string;
}

export interface PlannedPartition extends TableName {
  readonly oid: number;
  readonly fileNode: number;
  readonly blocks: number;
  /** 1 where the partition is read whole. */
  readonly chunks: number;
}

export const chunkCount = (plan: Pick<ExtractionPlan, 'partitions' | 'incremental'>): number =>
  rowChunkCount(plan) + (plan.incremental?.keyChunks ?? 0);

/** Those that carry rows; others, after them, carry the keys of all rows. */
export const rowChunkCount = ({ partitions }: Pick<ExtractionPlan, 'partitions'>): number =>
  partitions.reduce((sum, { chunks }) => sum + chunks, 0);
