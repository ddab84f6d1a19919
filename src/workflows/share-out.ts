/** A table that is being copied, and how many copies it has at once. */
export interface Share {
  width: number;
  /** More would find no chunk to copy. */
  readonly most: number;
}

/** A chunk has as much at least, so that a table has no use for more copies at once than it has such pieces. */
const SMALLEST_CHUNK = 16 * 1024 * 1024;

export const mostCopies = (bytes: number): number => Math.max(1, Math.ceil(bytes / SMALLEST_CHUNK));

/** What a table gets that begins now: an even share, since what it leaves the next one takes. */
export function firstShare(
  { most }: Pick<Share, 'most'>,
  { parallelism, atOnce, free }: { parallelism: number; atOnce: number; free: number },
): number {
  return Math.max(1, Math.min(most, free, Math.floor(parallelism / Math.max(1, atOnce))));
}

/**
 * Gives what is free to the tables under way, or takes what is too much from them, one copy at a time so that
 * they stay even. Each keeps one.
 *
 * @returns those whose width changed
 */
export function shareOut<T extends Share>(running: readonly T[], free: number): T[] {
  const before = new Map(running.map((one) => [one, one.width]));
  for (let left = free; left > 0; left -= 1) {
    const [narrowest] = running
      .filter(({ width, most }) => width < most)
      .toSorted((a, b) => a.width - b.width);
    if (narrowest === undefined) break;
    narrowest.width += 1;
  }
  for (let over = -free; over > 0; over -= 1) {
    const [widest] = running.filter(({ width }) => width > 1).toSorted((a, b) => b.width - a.width);
    if (widest === undefined) break;
    widest.width -= 1;
  }
  return running.filter((one) => one.width !== before.get(one));
}
