import { partitionLabel, type ExtractionPlan } from '../../bronze/plan.ts';
import type { PartitionLabel } from '../../contract/plan-summary.ts';

/** Labels travel with every plan summary, and so into the history: with two names each they stay below 40 kB. */
const MOST_LABELS = 200;

/** Labels the chunks of a plan, in order: one partition per label, or several if there are many. */
export function labelsOf(plan: ExtractionPlan): PartitionLabel[] {
  const chunked = inChunks(plan);
  const together = Math.ceil(chunked.length / MOST_LABELS);
  const labels: PartitionLabel[] = [];
  for (let at = 0; at < chunked.length; at += together) {
    const group = chunked.slice(at, at + together);
    const [first, last] = [group[0]?.first ?? '', group.at(-1)?.last ?? ''];
    labels.push({
      name: first === last ? first : `${first} to ${last}`,
      chunks: group.reduce((sum, { chunks }) => sum + chunks, 0),
    });
  }
  return labels;
}

interface Chunked {
  readonly first: string;
  last: string;
  readonly chunks: number;
}

/** Merges partitions that share a chunk. */
function inChunks(plan: ExtractionPlan): Chunked[] {
  const all: Chunked[] = [];
  for (const partition of plan.partitions) {
    const label = partitionLabel(plan, partition);
    const before = all.at(-1);
    if (partition.chunks === 0 && before !== undefined) before.last = label;
    else all.push({ first: label, last: label, chunks: partition.chunks });
  }
  return all;
}
