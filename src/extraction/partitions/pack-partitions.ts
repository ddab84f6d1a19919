import type { PlannedPartition } from '../../bronze/plan.ts';

/** A partition costs two COPYs and some questions, and a chunk a transaction and a mark as well. */
const MOST_IN_A_CHUNK = 64;

/** Each table that is read is locked while its chunk is copied, and the lock table of a server has some thousands of places. */
const MOST_LOCKED_AT_ONCE = 1000;

/** How many partitions one chunk may have. */
export const partitionsOfChunk = (parallelism: number): number =>
  Math.min(MOST_IN_A_CHUNK, Math.floor(MOST_LOCKED_AT_ONCE / parallelism));

/** Puts small partitions that follow one another into one chunk, up to so many blocks and so many partitions. */
export function packSmall(
  partitions: readonly PlannedPartition[],
  { blocks: mostBlocks, count: mostPartitions, hasBlocks }: Packing,
): PlannedPartition[] {
  let [count, blocks] = [mostPartitions, 0]; // of the chunk that is being filled: full, at first
  return partitions.map((partition) => {
    const mayShare = partition.chunks === 1 && hasBlocks(partition);
    const fits = mayShare && count < mostPartitions && blocks + partition.blocks <= mostBlocks;
    count = fits ? count + 1 : mayShare ? 1 : mostPartitions;
    blocks = fits ? blocks + partition.blocks : partition.blocks;
    return fits ? { ...partition, chunks: 0 } : partition;
  });
}

export interface Packing {
  readonly blocks: number;
  readonly count: number;
  /** Of others, such as foreign tables, it is not known how small they are. */
  readonly hasBlocks: (partition: PlannedPartition) => boolean;
}
