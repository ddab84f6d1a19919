import type { PlannedPartition } from '../../bronze/plan.ts';

/** A partition costs two COPYs and some queries; a chunk also costs a transaction and a ledger mark. */
const MOST_IN_A_CHUNK = 64;

/**
 * Each table and each of its indexes is locked while its chunk is copied, and a server's lock table has a few thousand
 * slots.
 */
export const MOST_LOCKED_AT_ONCE = 1000;

/** Returns how many locks a chunk may take. */
export const locksOfChunk = (parallelism: number): number => Math.floor(MOST_LOCKED_AT_ONCE / parallelism);

/** Packs consecutive small partitions into one chunk, up to a number of blocks, of locks and of partitions. */
export function packSmall(
  partitions: readonly PlannedPartition[],
  { blocks: mostBlocks, locks: mostLocks, locksOf, hasBlocks }: Packing,
): PlannedPartition[] {
  let [count, locks, blocks] = [MOST_IN_A_CHUNK, 0, 0]; // of the chunk being filled; initially full
  return partitions.map((partition) => {
    const mayShare = partition.chunks === 1 && hasBlocks(partition);
    const own = locksOf(partition);
    const hasRoom = count < MOST_IN_A_CHUNK && locks + own <= mostLocks;
    const fits = mayShare && hasRoom && blocks + partition.blocks <= mostBlocks;
    count = fits ? count + 1 : mayShare ? 1 : MOST_IN_A_CHUNK;
    locks = fits ? locks + own : own;
    blocks = fits ? blocks + partition.blocks : partition.blocks;
    return fits ? { ...partition, chunks: 0 } : partition;
  });
}

export interface Packing {
  readonly blocks: number;
  readonly locks: number;
  readonly locksOf: (partition: PlannedPartition) => number;
  /** False for foreign tables and the like, whose size is unknown. */
  readonly hasBlocks: (partition: PlannedPartition) => boolean;
}
