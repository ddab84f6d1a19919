import type { ExtractionPlan, PlannedPartition } from '../../bronze/plan.ts';
import { DatakitError } from '../../contract/failures.ts';
import { keyRange, type KeyRange } from './key-range.ts';

/** The rows of a partition in a range of blocks, or of keys. */
export interface ChunkRange {
  readonly partition: PlannedPartition;
  readonly fromBlock: number;
  /** Exclusive; absent for the last range, which ends with the table, however much it has grown since. */
  readonly toBlock?: number;
  /** True if the chunk is the whole partition, so that no range is needed. */
  readonly whole: boolean;
  /** Set when the partition is cut by a key. */
  readonly key?: KeyRange;
}

const MB = 1024 * 1024;

/** A chunk should be seconds of work: a smaller one costs more in bookkeeping than it saves on a retry. */
const SMALLEST_CHUNK = 16 * MB;
const LARGEST_CHUNK = 256 * MB;
/** The least number of chunks for each parallel copy, so that all finish at about the same time. */
const CHUNKS_EACH = 8;

export interface ChunkSizing {
  readonly totalBlocks: number;
  readonly blockSize: number;
  readonly parallelism: number;
  /** Bytes, if set in the input. */
  readonly chunkSize?: number | undefined;
}

/** Returns the number of blocks in a chunk. */
export function blocksPerChunk({ totalBlocks, blockSize, parallelism, chunkSize }: ChunkSizing): number {
  const even = (totalBlocks * blockSize) / (parallelism * CHUNKS_EACH);
  const bytes = chunkSize ?? Math.min(Math.max(even, SMALLEST_CHUNK), LARGEST_CHUNK);
  return Math.max(1, Math.ceil(bytes / blockSize));
}

/** Returns the number of chunks of a partition: at least one, since rows may arrive before the snapshot. */
export const chunksOf = (blocks: number, perChunk: number): number =>
  Math.max(1, Math.ceil(blocks / perChunk));

/**
 * Computes what a chunk of rows covers from its number, since plans carry no list of chunks.
 *
 * @param chunk from 0, counted across all partitions in order
 * @returns one range, or several small partitions
 */
export function rangesOfChunk(plan: ExtractionPlan, chunk: number): ChunkRange[] {
  const { partitions, blocksPerChunk: perChunk } = plan;
  let index = chunk;
  for (const [at, partition] of partitions.entries()) {
    if (index < partition.chunks) {
      return [rangeInPartition(partition, index, perChunk), ...partnersOf(partitions, at)];
    }
    index -= partition.chunks;
  }
  throw new DatakitError('PlanOutdated', `The plan has no chunk ${chunk}`);
}

/** Returns the partitions that share the chunk of this one. */
function partnersOf(partitions: readonly PlannedPartition[], at: number): ChunkRange[] {
  const rest = partitions.slice(at + 1);
  const end = rest.findIndex(({ chunks }) => chunks > 0);
  return rest
    .slice(0, end === -1 ? undefined : end)
    .map((partition) => ({ partition, fromBlock: 0, whole: true }));
}

function rangeInPartition(partition: PlannedPartition, index: number, perChunk: number): ChunkRange {
  if (partition.key !== undefined) {
    return { partition, fromBlock: 0, whole: false, key: keyRange(partition.key, index) };
  }
  const fromBlock = index * perChunk;
  const whole = partition.chunks === 1;
  const last = index === partition.chunks - 1;
  return last
    ? { partition, fromBlock, whole }
    : { partition, fromBlock, toBlock: fromBlock + perChunk, whole };
}
