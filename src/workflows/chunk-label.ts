import type { PlanSummary } from '../contract/activities.ts';

/** What a chunk is called where people look: `flights_2001_03, chunk 2 of 5`. */
export function chunkLabel({ partitions, chunks: total }: PlanSummary, chunk: number): string {
  let index = chunk;
  for (const { name, chunks } of partitions) {
    if (index < chunks) return chunks === 1 ? name : `${name}, chunk ${index + 1} of ${chunks}`;
    index -= chunks;
  }
  return `chunk ${chunk + 1} of ${total}`;
}
