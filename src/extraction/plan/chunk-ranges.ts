import type { ExtractionPlan, PlannedPartition } from '../../bronze/plan.ts';
import { DatakitError } from '../../contract/failures.ts';
import { keyRange, type KeyRange } from './key-range.ts';

/** The rows of a partition whose blocks are in a range; the last range of a partition has no end. */
export interface ChunkRange {
  readonly partition: PlannedPartition;
  readonly fromBlock: number;
  /** Absent: to the end of the table, however far it grew since it was planned. */
  readonly toBlock?: number;
  /** Whether the chunk is its whole partition, so that no range need be named. */
  readonly whole: boolean;
  /** Where the partition is cut by a key. */
  readonly key?: KeyRange;
  /** Whether it carries the keys of all rows in place of the rows that the run extracts. */
  readonly keysOnly?: true;
}

const MB = 1024 * 1024;

/** A chunk should be seconds of work: less costs more in bookkeeping than it saves in repeating. */
const SMALLEST_CHUNK = 16 * MB;
const LARGEST_CHUNK = 256 * MB;
/** How many chunks each of the parallel copies should get at least, so that all end at about the same time. */
const CHUNKS_EACH = 8;

export interface ChunkSizing {
  readonly totalBlocks: number;
  readonly blockSize: number;
  readonly parallelism: number;
  /** Bytes, where the input says. */
  readonly chunkSize?: number | undefined;
}

/** How many blocks one chunk has. */
export function blocksPerChunk({ totalBlocks, blockSize, parallelism, chunkSize }: ChunkSizing): number {
  const even = (totalBlocks * blockSize) / (parallelism * CHUNKS_EACH);
  const bytes = chunkSize ?? Math.min(Math.max(even, SMALLEST_CHUNK), LARGEST_CHUNK);
  return Math.max(1, Math.ceil(bytes / blockSize));
}

/** How many chunks a partition of so many blocks has; an empty one has one too, since rows may arrive before the snapshot. */
export const chunksOf = (blocks: number, perChunk: number): number =>
  Math.max(1, Math.ceil(blocks / perChunk));

/**
 * What a chunk covers, computed from its number: plans carry no list of chunks.
 *
 * @param chunk from 0, counted over all partitions in their order
 * @returns one range, or several small partitions
 */
export function rangesOfChunk(plan: ExtractionPlan, chunk: number): ChunkRange[] {
  const { partitions, blocksPerChunk: perChunk, incremental } = plan;
  let index = chunk;
  for (const [at, partition] of partitions.entries()) {
    if (index < partition.chunks) {
      return [rangeInPartition(partition, index, perChunk), ...partnersOf(partitions, at)];
    }
    index -= partition.chunks;
  }
  const partition = index < (incremental?.keyChunks ?? 0) ? partitions[index] : undefined;
  if (partition !== undefined) return [{ partition, fromBlock: 0, whole: true, keysOnly: true }];
  throw new DatakitError('PlanOutdated', `The plan has no chunk ${chunk}`);
}

/** The partitions that are read in the chunk of this one. */
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
