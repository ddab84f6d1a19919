/** Returns the median, the mean of the middle two for an even count; NaN for no numbers. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const [low, high] = [Math.floor((sorted.length - 1) / 2), Math.floor(sorted.length / 2)];
  return ((sorted[low] ?? Number.NaN) + (sorted[high] ?? Number.NaN)) / 2;
}

/** Returns the median of a value of each sample. */
export const medianOf = <T>(samples: readonly T[], of: (sample: T) => number): number =>
  median(samples.map(of));

/** Returns the median duration of runs, in seconds. */
export const secondsOf = (
  measured: { readonly samples: readonly { readonly seconds: number }[] } | undefined,
): number => medianOf(measured?.samples ?? [], ({ seconds }) => seconds);
