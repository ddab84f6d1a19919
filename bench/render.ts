import { formatBytes } from '../src/contract/quantities.ts';
import { medianOf } from './in-turn.ts';
import type { Circumstances, Kept, Measured, Results, Sample, Section } from './result.ts';

/** A section of results as tables of Markdown. */
export function render(section: Section, circumstances: Circumstances): string {
  return [section.about, tables(section), leftOut(section), under(circumstances)]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** All that a file of results has, for people. */
export const renderAll = (results: Results): string =>
  Object.values(results)
    .map((section) => `## ${section.title}\n\n${render(section, section.circumstances)}\n`)
    .join('\n');

function tables(section: Section): string {
  switch (section.kind) {
    case 'times': {
      if (section.sizes) return sizesTable(section.entries);
      const cases = [...new Set(section.entries.map((entry) => entry.case))];
      const groups = cases.map((name) => section.entries.filter((entry) => entry.case === name));
      return groups.every((group) => group.length === 1)
        ? timesTable(section.entries, 'case')
        : groups.map((group) => caption(group[0]) + timesTable(group, 'subject')).join('\n\n');
    }
    case 'values':
      return table(
        ['', 'exact', 'only as text', 'changed', 'refused', 'which are not exact'],
        section.entries.map(({ subject, types, together }) => [
          subject,
          ...(['exact', 'text', 'lost', 'refused'] as const).map((kept) => String(count(types, kept))),
          inexact(types) +
            (together ? '' : inexact(types) === '' ? '' : ' (a table of all of them is refused)'),
        ]),
      );
    case 'readers':
      return table(
        [
          '',
          'replace',
          'reads',
          'no table',
          'empty',
          'partial',
          'mixed',
          'longest wait',
          'after SIGKILL',
          'left behind',
        ],
        section.entries.map((seen) => [
          seen.subject,
          `${seen.seconds.toFixed(1)} s`,
          String(seen.missing + seen.empty + seen.partial + seen.mixed + seen.whole),
          ...[seen.missing, seen.empty, seen.partial, seen.mixed].map(String),
          `${seen.blocked.toFixed(2)} s`,
          Object.entries(seen.afterKill)
            .map(([state, times]) => `${state} ${times}×`)
            .join(', '),
          seen.leftBehind.join(', '),
        ]),
      );
  }
}

const caption = (entry: Measured | undefined): string =>
  entry === undefined ? '' : `**${entry.case}**: ${size(entry)}\n\n`;

const size = ({ rows, bytes }: Measured): string =>
  `${rows.toLocaleString('en-US')} rows, ${formatBytes(bytes)}`;

/** The first is what the others are compared with, unless a pipe of psql is among them. */
function timesTable(entries: readonly Measured[], by: 'case' | 'subject'): string {
  const base = entries.find(({ subject }) => subject.startsWith('psql | psql')) ?? entries[0];
  const baseSeconds = medianOf(base?.samples ?? [], ({ seconds }) => seconds);
  return table(
    ['', 'seconds (from–to)', 'ratio', 'rows/s', 'MB/s', 'CPU s: source', 'warehouse', 'tool', 'Temporal', 'memory of the tool', 'of the warehouse', 'read', 'written', 'WAL'],
    entries.map((entry) => [entry[by], ...cells(entry, baseSeconds)]),
  ); // prettier-ignore
}

/** A subject a line: what it took at each size, how that grew, and what larger sizes would take. */
function sizesTable(entries: readonly Measured[]): string {
  const sizes = [...new Set(entries.map(({ rows }) => rows))].toSorted((a, b) => a - b);
  const larger = [1e7, 1e8].filter((rows) => rows > Math.max(...sizes));
  const subjects = [...new Set(entries.map(({ subject }) => subject))];
  return table(
    [
      '',
      ...sizes.map((rows) => `${shortCount(rows)} rows`),
      'exponent',
      ...larger.map((rows) => `${shortCount(rows)} computed`),
      ...sizes.map((rows) => `memory at ${shortCount(rows)}`),
    ],
    subjects.map((subject) => {
      const bySize = sizes.map((rows) =>
        entries.find((entry) => entry.subject === subject && entry.rows === rows),
      );
      const seconds = bySize.map((entry) => medianOf(entry?.samples ?? [], (sample) => sample.seconds));
      const memory = bySize.map((entry) => medianOf(entry?.samples ?? [], (sample) => sample.memory.tool));
      const { exponent, at } = growthOf(sizes, seconds);
      return [
        subject,
        ...seconds.map((value, index) => duration(value, bySize[index]?.failed)),
        Number.isFinite(exponent) ? exponent.toFixed(2) : '',
        ...larger.map((rows) => duration(at(rows))),
        ...memory.map((value) => (Number.isFinite(value) ? formatBytes(value) : '')),
      ];
    }),
  );
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

function duration(seconds: number, failed?: string): string {
  if (failed !== undefined) return `failed: ${oneLine(failed)}`;
  if (!Number.isFinite(seconds)) return '';
  return seconds < 100 ? `${seconds.toFixed(1)} s` : `${(seconds / 60).toFixed(1)} min`;
}

const shortCount = (rows: number): string =>
  rows >= 1e6 ? `${rows / 1e6}M` : rows >= 1e3 ? `${rows / 1e3}k` : String(rows);

function cells({ samples, rows, bytes, wire, failed }: Measured, base: number): string[] {
  if (failed !== undefined || samples.length === 0) return [`failed: ${oneLine(failed ?? 'no run')}`];
  const of = (value: (sample: Sample) => number): number => medianOf(samples, value);
  const seconds = of((sample) => sample.seconds);
  const all = samples.map((sample) => sample.seconds);
  const spread =
    samples.length === 1 ? 'once' : `${Math.min(...all).toFixed(2)}–${Math.max(...all).toFixed(2)}`;
  return [
    `**${seconds.toFixed(2)}** (${spread})`,
    (seconds / base).toFixed(2),
    Math.round(rows / seconds).toLocaleString('en-US'),
    (bytes / 1e6 / seconds).toFixed(0),
    ...(['source', 'warehouse', 'tool', 'temporal'] as const).map((part) =>
      of((sample) => sample.cpu[part]).toFixed(2),
    ),
    formatBytes(of((sample) => sample.memory.tool)),
    formatBytes(of((sample) => sample.memory.warehouse)),
    wire === undefined ? '' : formatBytes(wire.source),
    wire === undefined ? '' : formatBytes(wire.warehouse),
    formatBytes(of((sample) => sample.wal.warehouse)),
  ];
}

const count = (types: Readonly<Record<string, Kept>>, kept: Kept): number =>
  Object.values(types).filter((result) => result === kept).length;

const inexact = (types: Readonly<Record<string, Kept>>): string =>
  Object.keys(types)
    .filter((type) => types[type] !== 'exact')
    .join(', ');

function leftOut({ leftOut: peers = {} }: Section): string {
  const each = Object.entries(peers).map(([name, reason]) => `${name} (${oneLine(reason)})`);
  return each.length === 0 ? '' : `Left out: ${each.join('; ')}.`;
}

function under({ machine, load, versions, at }: Circumstances): string {
  const software = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `Measured ${at.slice(0, 10)} on ${machine.cores} × ${machine.processor}, ${formatBytes(machine.memory)}, load ${load.map((value) => value.toFixed(1)).join(' to ')}; ${software.join('; ')}.`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [
    head,
    head.map((_, index) => (index === 0 ? '---' : '--:')),
    ...rows.map((row) => head.map((_, index) => (row[index] ?? '').replaceAll('|', '\\|'))),
  ];
  return lines.map((cells_) => `| ${cells_.join(' | ')} |`).join('\n');
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ');
