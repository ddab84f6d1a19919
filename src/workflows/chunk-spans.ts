import type { PlanSummary, Span } from '../contract/activities.ts';

/** The most chunks of one activity: with seconds for each it ends soon enough to heed a new width or a pause. */
const MOST_CHUNKS = 8;

/**
 * Cuts chunks into spans, each the work of one activity: longer ones first, so that a chunk costs
 * little history, and single chunks at the end, so that all copies end at about the same time.
 */
export function* spansOf(from: number, to: number, width: () => number): Iterable<Span> {
  for (let next = from; next < to;) {
    const share = Math.ceil((to - next) / (2 * width()));
    const count = Math.min(share, MOST_CHUNKS);
    yield { from: next, count };
    next += count;
  }
}

/** What a span is called where people look: `flights_2001_03, chunks 2 to 5 of 9`. */
export function spanLabel({ partitions, chunks: total }: PlanSummary, { from, count }: Span): string {
  let first = from;
  for (const { name, chunks } of partitions) {
    if (first < chunks) {
      const others = first + count > chunks ? ' and more' : '';
      return chunks === 1
        ? `${name}${others}`
        : `${name}, ${chunksNamed(first, Math.min(count, chunks - first), chunks)}${others}`;
    }
    first -= chunks;
  }
  return chunksNamed(from, count, total);
}

function chunksNamed(from: number, count: number, of: number): string {
  return count === 1 ? `chunk ${from + 1} of ${of}` : `chunks ${from + 1} to ${from + count} of ${of}`;
}
