import type { Measured } from './result.ts';
import { medianOf, secondsOf } from './statistics.ts';

/** How one subject's time grows with the rows. */
export interface Growth {
  readonly subject: string;
  /** Linear growth has 1. Of the two sizes `from` and `to`. */
  readonly exponent: number;
  readonly from: number;
  readonly to: number;
  readonly sizes: readonly SizeShown[];
}

/** What it takes at one size, measured or computed. */
export interface SizeShown {
  readonly rows: number;
  readonly seconds: number;
  readonly computed: boolean;
  /** Bytes, where it was measured. */
  readonly memory?: number;
  /** Why it could not be measured. */
  readonly failed?: string;
}

/** To what sizes it is computed. */
const LARGER = [1e6, 1e7, 1e8];

/** Of each subject what was measured, and what sizes beyond would take. */
export function growthsOf(entries: readonly Measured[]): Growth[] {
  const sizes = [...new Set(entries.map(({ rows }) => rows))].toSorted((a, b) => a - b);
  const all = [...sizes, ...LARGER.filter((rows) => rows > Math.max(...sizes))];
  const subjects = [...new Set(entries.map(({ subject }) => subject))];
  return subjects.map((subject) =>
    growthOfSubject(
      subject,
      entries.filter((entry) => entry.subject === subject),
      all,
    ),
  );
}

function growthOfSubject(subject: string, entries: readonly Measured[], sizes: readonly number[]): Growth {
  const measured = entries.filter(({ samples }) => samples.length > 0).toSorted((a, b) => a.rows - b.rows);
  const last = measured.at(-1);
  // what a run costs beside its rows would make growth look less than it is: over a factor of ten, as far up as possible
  const first = measured.findLast(({ rows }) => rows * 10 <= (last?.rows ?? 0)) ?? measured[0];
  const [from, to] = [first?.rows ?? Number.NaN, last?.rows ?? Number.NaN];
  const { exponent, at } = growthOf([from, to], [secondsOf(first), secondsOf(last)]);
  return {
    subject,
    exponent,
    from,
    to,
    sizes: sizes.map((rows): SizeShown => {
      const entry = entries.find((one) => one.rows === rows);
      if (entry?.failed !== undefined)
        return { rows, seconds: Number.NaN, computed: false, failed: entry.failed };
      if (entry === undefined || entry.samples.length === 0)
        return { rows, seconds: at(rows), computed: true };
      const memory = medianOf(entry.samples, (sample) => sample.memory.tool);
      return { rows, seconds: secondsOf(entry), computed: false, memory };
    }),
  };
}

/** How time grew from the first to the last size, and what it is at another if rows go on to take as much each. */
export function growthOf(
  sizes: readonly number[],
  seconds: readonly number[],
): { exponent: number; at: (rows: number) => number } {
  const [first, last] = [0, sizes.length - 1];
  const [fewRows = 0, manyRows = 0] = [sizes[first], sizes[last]];
  const [few = 0, many = 0] = [seconds[first], seconds[last]];
  const each = (many - few) / (manyRows - fewRows);
  return {
    exponent: Math.log(many / few) / Math.log(manyRows / fewRows),
    at: (rows) => many + each * (rows - manyRows),
  };
}
