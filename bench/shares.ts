import type { Share } from './result.ts';

/** Converts counts to shares of their sum, largest first. */
export function sharesOf(counts: ReadonlyMap<string, number>): Share[] {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return [...counts]
    .map(([name, count]) => ({ name, share: count / total }))
    .toSorted((a, b) => b.share - a.share);
}
