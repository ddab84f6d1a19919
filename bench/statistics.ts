/** The middle of the numbers, or the mean of the two in the middle; NaN of none. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const [low, high] = [Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2)];
  return ((sorted[low] ?? Number.NaN) + (sorted[high] ?? Number.NaN)) / 2;
}

/** The median of what samples say. */
export const medianOf = <T>(samples: readonly T[], of: (sample: T) => number): number =>
  median(samples.map(of));

/** The median of the seconds that runs took. */
export const secondsOf = (
  measured: { readonly samples: readonly { readonly seconds: number }[] } | undefined,
): number => medianOf(measured?.samples ?? [], ({ seconds }) => seconds);
