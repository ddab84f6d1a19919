import { rowChunkCount, type ExtractionPlan, type PlannedPartition } from '../../bronze/plan.ts';
import type { Span } from '../../contract/chunks.ts';
import { rangesOfChunk } from './chunk-ranges.ts';

/** Returns the numbers of the chunks in a span. */
export const chunksIn = ({ from, count }: Span): number[] =>
  Array.from({ length: count }, (_, index) => from + index);

/**
 * Groups the chunks that one transaction copies: keys of partitions whose rows share a chunk are copied together. The
 * keys of each partition still have a chunk number of their own, which means the same to workers of all versions.
 *
 * @param chunks ascending
 */
export function putTogether(plan: ExtractionPlan, chunks: readonly number[]): Span[] {
  const firstOfKeys = rowChunkCount(plan);
  const together: { from: number; count: number }[] = [];
  for (const chunk of chunks) {
    const before = together.at(-1);
    const isNext = before !== undefined && before.from + before.count === chunk;
    if (isNext && before.from >= firstOfKeys && plan.partitions[chunk - firstOfKeys]?.chunks === 0) {
      before.count += 1;
    } else {
      together.push({ from: chunk, count: 1 });
    }
  }
  return together;
}

/** Returns the partitions whose rows or keys a group of chunks carries. */
export function partitionsOf(plan: ExtractionPlan, { from, count }: Span): readonly PlannedPartition[] {
  const first = from - rowChunkCount(plan);
  const areOfKeys = first >= 0 && first < (plan.incremental?.keyChunks ?? 0);
  return areOfKeys
    ? plan.partitions.slice(first, first + count)
    : rangesOfChunk(plan, from).map(({ partition }) => partition);
}
