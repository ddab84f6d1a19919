import type { PlannedPartition } from '../../bronze/plan.ts';

/** A partition costs two COPYs and some queries; a chunk also costs a transaction and a ledger mark. */
const MOST_IN_A_CHUNK = 64;

/** Each table is locked while its chunk is copied, and a server's lock table has a few thousand slots. */
const MOST_LOCKED_AT_ONCE = 1000;

/** Returns how many partitions a chunk may have. */
export const partitionsOfChunk = (parallelism: number): number =>
  Math.min(MOST_IN_A_CHUNK, Math.floor(MOST_LOCKED_AT_ONCE / parallelism));

/** Packs consecutive small partitions into one chunk, up to a number of blocks and of partitions. */
export function packSmall(
  partitions: readonly PlannedPartition[],
  { blocks: mostBlocks, count: mostPartitions, hasBlocks }: Packing,
): PlannedPartition[] {
  let [count, blocks] = [mostPartitions, 0]; // of the chunk being filled; initially full
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
  /** False for foreign tables and the like, whose size is unknown. */
  readonly hasBlocks: (partition: PlannedPartition) => boolean;
}
