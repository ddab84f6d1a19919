/** A table being copied, and how many copies it has at once. */
export interface Share {
  width: number;
  /** The most it has had at once: a copy taken from it goes on until it ends. */
  reserved: number;
  /** More would find no chunk to copy. */
  readonly most: number;
}

/** Chunks are at least this large by default, so a table has no use for more copies than it has such pieces. */
const SMALLEST_CHUNK = 16 * 1024 * 1024;

export const mostCopies = (bytes: number): number => Math.max(1, Math.ceil(bytes / SMALLEST_CHUNK));

/** Returns the copies for a table that begins now: an even share, since the next one takes what it leaves. */
export function firstShare(
  { most }: Pick<Share, 'most'>,
  { parallelism, atOnce, free }: { parallelism: number; atOnce: number; free: number },
): number {
  return Math.max(1, Math.min(most, free, Math.floor(parallelism / Math.max(1, atOnce))));
}

/**
 * Gives free copies to the tables under way, or takes excess ones from them, one at a time so that shares stay
 * even. Each keeps one.
 *
 * @param unused how many more copies than are reserved there may be, whatever the widths
 * @returns those whose width changed
 */
export function shareOut<T extends Share>(
  running: readonly T[],
  free: number,
  unused = Number.POSITIVE_INFINITY,
): T[] {
  let more = unused;
  const before = new Map(running.map((one) => [one, one.width]));
  for (let left = free; left > 0; left -= 1) {
    const [narrowest] = running
      .filter(({ width, most, reserved }) => width < most && (width < reserved || more > 0))
      .toSorted((a, b) => a.width - b.width);
    if (narrowest === undefined) break;
    narrowest.width += 1;
    if (narrowest.width <= narrowest.reserved) continue;
    narrowest.reserved = narrowest.width;
    more -= 1;
  }
  for (let over = -free; over > 0; over -= 1) {
    const [widest] = running.filter(({ width }) => width > 1).toSorted((a, b) => b.width - a.width);
    if (widest === undefined) break;
    widest.width -= 1;
  }
  return running.filter((one) => one.width !== before.get(one));
}
