import type { Measured } from './result.ts';
import { medianOf, secondsOf } from './statistics.ts';

/** How a subject's time grows with the number of rows. */
export interface Growth {
  readonly subject: string;
  /** 1 for linear growth; between the sizes `from` and `to`. */
  readonly exponent: number;
  readonly from: number;
  readonly to: number;
  readonly sizes: readonly SizeShown[];
}

/** Cost at one size, measured or extrapolated. */
export interface SizeShown {
  readonly rows: number;
  readonly seconds: number;
  readonly computed: boolean;
  /** Bytes, if measured. */
  readonly memory?: number;
  /** Why it could not be measured. */
  readonly failed?: string;
}

/** Sizes to extrapolate to. */
const LARGER = [1e6, 1e7, 1e8];

/** Summarizes the measurements of each subject and extrapolates them to larger sizes. */
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
  // fixed costs of a run would make growth look smaller: compare over a factor of ten, as high up as possible
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

/** Computes growth from the first to the last size, and extrapolates at the same cost per additional row. */
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
