import type { Span } from '../contract/chunks.ts';
import type { ChunksOfKeys, PlanSummary } from '../contract/plan-summary.ts';

/** Most chunks per activity: at seconds each, it ends soon enough to follow a new width or a pause. */
const MOST_CHUNKS = 8;
/** A plan with very many chunks has small ones: its spans grow to keep to about this many activities. */
const MOST_SPANS = 10_000;
/**
 * A span gets this part of one copy's even share of the remaining chunks. Less would cost more history events;
 * more would make the other copies wait at the end for one with slow chunks.
 */
const PART_OF_SHARE = 2 / 3;

/**
 * Cuts chunks into spans, one per activity: longer ones first, so that a chunk costs little history, and single
 * chunks last, so that all copies end at about the same time.
 *
 * @param of number of chunks of the plan
 */
export function* spansOf(
  { from, count: all }: Span,
  of: number,
  width: () => number,
  keys?: ChunksOfKeys,
): Iterable<Span> {
  const to = from + all;
  const mostOfRows = Math.max(MOST_CHUNKS, Math.ceil(of / MOST_SPANS));
  for (let next = from; next < to;) {
    const share = Math.ceil(((to - next) / width()) * PART_OF_SHARE);
    const most = keys !== undefined && next >= keys.from ? Math.max(mostOfRows, keys.inSpan) : mostOfRows;
    // with a width of 0 the share has no end
    const count = Math.min(share, most, to - next);
    yield { from: next, count };
    next += count;
  }
}

/** Chunks of a large plan that a child workflow copies. */
export interface Stretch extends Span {
  /** `orders_2024_01 to orders_2024_06`, or `orders_2024_07, chunks 1 to 4000 of 9000`. */
  readonly name: string;
}

/** Cuts a large plan into stretches that end where partitions do, unless a partition is larger than a stretch. */
export function stretchesOf(plan: PlanSummary, most: number): Stretch[] {
  const stretches: { from: number; count: number; first: string; last: string }[] = [];
  for (const piece of piecesOf(plan, most)) {
    const before = stretches.at(-1);
    if (before === undefined || before.count + piece.count > most) {
      stretches.push({ ...piece, first: piece.name, last: piece.name });
    } else {
      before.count += piece.count;
      before.last = piece.name;
    }
  }
  return stretches.map(({ from, count, first, last }) => ({
    from,
    count,
    name: first === last ? first : `${first} to ${last}`,
  }));
}

/** Yields each partition, in parts if it is larger than a stretch, then chunks without a label: chunks of keys. */
function* piecesOf({ partitions, chunks: total }: PlanSummary, most: number): Iterable<Stretch> {
  let from = 0;
  for (const { name, chunks } of partitions) {
    for (let done = 0; done < chunks; done += most) {
      const count = Math.min(most, chunks - done);
      const part = count === chunks ? name : `${name}, ${chunksNamed(done, count, chunks)}`;
      yield { from: from + done, count, name: part };
    }
    from += chunks;
  }
  for (; from < total; from += most) {
    const count = Math.min(most, total - from);
    yield { from, count, name: chunksNamed(from, count, total) };
  }
}

/** Names a span for people: `flights_2001_03, chunks 2 to 5 of 9`. */
export function spanLabel(
  { partitions, chunks: total }: Pick<PlanSummary, 'partitions' | 'chunks'>,
  { from, count }: Span,
): string {
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
