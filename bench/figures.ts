import { growthsOf } from './growth.ts';
import type { Kept, Measured, Sample, Section, ValuesKept } from './result.ts';
import { medianOf, secondsOf } from './statistics.ts';

/** Figures that tables show for one subject and case: medians, and for seconds also the extremes. */
export interface Figures extends Pick<Sample, 'cpu' | 'memory' | 'wal'> {
  readonly seconds: { readonly median: number; readonly least: number; readonly most: number };
  /** Relative to the seconds of the entry it is compared with. */
  readonly ratio: number;
  readonly rowsPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Name prefix of the default entry for comparison: the handwritten pipe. */
const BASE = 'psql | psql, binary';

/** The property by which the rows of a table differ. */
export type LinesBy = 'case' | 'subject';

/** Groups entries into a table per case, with a row per subject; or into one of all cases if each has one subject. */
export function tablesOf(entries: readonly Measured[]): {
  readonly by: LinesBy;
  readonly groups: Measured[][];
} {
  const cases = [...new Set(entries.map((entry) => entry.case))];
  const groups = cases.map((name) => entries.filter((entry) => entry.case === name));
  const oneSubject = groups.every((group) => group.length === 1);
  return oneSubject ? { by: 'case', groups: [groups.flat()] } : { by: 'subject', groups };
}

/** Computes the figures of each entry of a table. */
export function figuresOf(entries: readonly Measured[], by: LinesBy, base = BASE): (Figures | undefined)[] {
  const compared = entries.find((entry) => entry[by].startsWith(base)) ?? entries[0];
  const seconds = secondsOf(compared);
  return entries.map((entry) => (entry.samples.length === 0 ? undefined : figures(entry, seconds)));
}

function figures({ samples, rows, bytes }: Measured, base: number): Figures {
  const of = (value: (sample: Sample) => number): number => medianOf(samples, value);
  const all = samples.map(({ seconds }) => seconds);
  const seconds = { median: of((sample) => sample.seconds), least: Math.min(...all), most: Math.max(...all) };
  return {
    seconds,
    ratio: seconds.median / base,
    rowsPerSecond: rows / seconds.median,
    bytesPerSecond: bytes / seconds.median,
    cpu: {
      source: of(({ cpu }) => cpu.source),
      warehouse: of(({ cpu }) => cpu.warehouse),
      tool: of(({ cpu }) => cpu.tool),
      temporal: of(({ cpu }) => cpu.temporal),
    },
    memory: {
      tool: of(({ memory }) => memory.tool),
      source: of(({ memory }) => memory.source),
      warehouse: of(({ memory }) => memory.warehouse),
    },
    wal: { source: of(({ wal }) => wal.source), warehouse: of(({ wal }) => wal.warehouse) },
  };
}

/** Counts the types with each outcome. */
export function countsOf({ types }: ValuesKept): Record<Kept, number> {
  const count = (kept: Kept): number => Object.values(types).filter((result) => result === kept).length;
  return { exact: count('exact'), text: count('text'), lost: count('lost'), refused: count('refused') };
}

/** Adds everything that the tables show to the section, for readers of the results file. */
export function withFigures(section: Section): Section {
  switch (section.kind) {
    case 'times': {
      const shown = { ...section, entries: entriesWithFigures(section.entries, section.base) };
      return section.sizes === true ? { ...shown, growth: growthsOf(section.entries) } : shown;
    }
    case 'changes':
      return { ...section, entries: entriesWithFigures(section.entries, section.base) };
    case 'values':
      return { ...section, entries: section.entries.map((entry) => ({ ...entry, counts: countsOf(entry) })) };
    case 'readers':
    case 'profile':
      return section;
  }
}

function entriesWithFigures(entries: readonly Measured[], base: string | undefined): Measured[] {
  const { by, groups } = tablesOf(entries);
  return groups.flatMap((group) => {
    const each = figuresOf(group, by, base);
    return group.map((entry, index) => {
      const shown = each[index];
      return shown === undefined ? entry : { ...entry, figures: shown };
    });
  });
}
