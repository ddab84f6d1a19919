import { formatBytes } from '../src/contract/quantities.ts';
import { countsOf, figuresOf, tablesOf, type Figures, type LinesBy } from './figures.ts';
import { growthsOf, type SizeShown } from './growth.ts';
import type {
  Circumstances,
  Kept,
  Lag,
  Measured,
  Profile,
  Results,
  Section,
  SeenByReaders,
  Share,
} from './result.ts';
import { secondsOf } from './statistics.ts';

const OURS = 'datakit-postgres';

/** Renders a section of results as Markdown tables, with the date of measurement. */
export function render(section: Section, circumstances: Circumstances): string {
  return [section.about, tables(section), leftOut(section), measuredAt(circumstances)]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** Renders the machines, and the version of everything measured, with the command used for each peer. */
export function renderVersions(results: Results, runs: Readonly<Record<string, string>>): string {
  const all = Object.values(results).map(({ circumstances }) => circumstances);
  const machines = new Set(
    all.map(({ machine }) => `${machine.cores} × ${machine.processor}, ${formatBytes(machine.memory)}`),
  );
  const versions = new Map<string, Set<string>>();
  for (const [name, version] of all.flatMap((circumstances) => Object.entries(circumstances.versions))) {
    // the commit of this project is shown with each section
    if (name !== OURS) versions.set(name, (versions.get(name) ?? new Set()).add(version));
  }
  const rows = [...versions].map(([name, each]) => [name, runs[name] ?? '', [...each].join(' and ')]);
  return `${[...machines].join('; ')}.\n\n${table(['', 'what it runs', 'version'], rows, ['---', '---', '---'])}`;
}

/** Summarizes three benchmarks, with a row for everything measured by the first of them. */
export function renderSummary({ peers, types, readers }: Results): string {
  if (peers?.kind !== 'times') return '';
  const ours = secondsOf(peers.entries.find(({ subject }) => subject === OURS));
  const rows = peers.entries.map((entry) => {
    const { subject } = entry;
    const kept =
      types?.kind === 'values' ? types.entries.find((each) => each.subject === subject) : undefined;
    const seen =
      readers?.kind === 'readers' ? readers.entries.find((each) => each.subject === subject) : undefined;
    return [
      subject,
      ...(entry.failed === undefined
        ? [`${secondsOf(entry).toFixed(1)} s`, `${(secondsOf(entry) / ours).toFixed(1)} ×`]
        : ['failed', '–']),
      kept === undefined ? '' : `${countsOf(kept).exact} of ${Object.keys(kept.types).length}`,
      seen === undefined ? '' : badReads(seen),
      seen === undefined ? '' : afterKill(seen),
    ];
  });
  const size = peers.entries[0]?.rows.toLocaleString('en-US') ?? '';
  const head = ['', `${size} rows`, 'relative time', 'types kept exactly', 'readers saw', 'after SIGKILL'];
  return table(head, rows);
}

/** Describes what readers should never see while a table is replaced. */
function badReads({ missing, empty, partial, mixed }: SeenByReaders): string {
  const bad = Object.entries({
    'no table': missing,
    'an empty table': empty,
    'some rows': partial,
    'old and new rows': mixed,
  });
  const seen = bad.filter(([, reads]) => reads > 0).map(([name]) => name);
  return seen.length === 0 ? 'all rows, always' : seen.join(', ');
}

function afterKill({ afterKill: states }: SeenByReaders): string {
  const all = Object.entries(states).map(([state, times]) => `${state} ${times}×`);
  return all.length === 0 ? 'had always finished' : all.join(', ');
}

function tables(section: Section): string {
  switch (section.kind) {
    case 'times':
      return section.sizes === true ? sizesTable(section.entries) : caseTables(section);
    case 'changes':
      return [caseTables(section), memoryOfRounds(section.entries), lagTable(section.lag)].join('\n\n');
    case 'profile':
      return section.entries.map(profileTables).join('\n\n');
    case 'values':
      return table(
        ['', 'exact', 'only as text', 'changed', 'refused', 'types that are not exact'],
        section.entries.map((entry) => [
          entry.subject,
          ...(['exact', 'text', 'lost', 'refused'] as const).map((kept) => String(countsOf(entry)[kept])),
          inexact(entry.types) + (entry.together ? '' : ' (refuses a table with all types)'),
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
          afterKill(seen),
          seen.leftBehind.join(', '),
        ]),
      );
  }
}

/** Renders a table per case, with a row per subject; or one of all cases if each has one subject. */
function caseTables({ entries, base }: Extract<Section, { kind: 'times' | 'changes' }>): string {
  const { by, groups } = tablesOf(entries);
  return groups
    .map((group) => (by === 'subject' ? caption(group[0]) : '') + timesTable(group, by, base))
    .join('\n\n');
}

function caption(entry: Measured | undefined): string {
  if (entry === undefined) return '';
  const rows = `${entry.rows.toLocaleString('en-US')} rows`;
  const size = [...(entry.case.endsWith(rows) ? [] : [rows]), formatBytes(entry.bytes)];
  return `**${entry.case}**: ${size.join(', ')}\n\n`;
}

function timesTable(entries: readonly Measured[], by: LinesBy, base: string | undefined): string {
  const head = ['', 'seconds (min–max)', 'ratio', 'rows/s', 'MB/s', 'CPU s: source + warehouse + tool + Temporal', 'memory: tool, warehouse', 'read, written', 'WAL', 'types in the target'];
  const figures = figuresOf(entries, by, base);
  const rows = entries.map((entry, index) => [entry[by], ...cells(entry, figures[index])]);
  const filled = head.map((_, column) => rows.some((row) => row[column] !== '' && row[column] !== undefined));
  return table(
    head.filter((_, column) => column === 0 || filled[column]),
    rows.map((row) => row.filter((_, column) => column === 0 || filled[column])),
  );
} // prettier-ignore

/** Shows the peak memory per round, which must not grow. */
function memoryOfRounds(entries: readonly Measured[]): string {
  const rows = entries
    .filter(({ subject, samples }) => subject === OURS && samples.length > 2)
    .map(({ case: name, samples }) => [name, ...samples.map(({ memory }) => formatBytes(memory.tool))]);
  const rounds = Math.max(...rows.map((row) => row.length - 1));
  const head = Array.from({ length: rounds }, (_, round) => `round ${round + 1}`);
  return rows.length === 0 ? '' : table(['peak memory of the worker', ...head], rows);
}

const lagTable = ({ rate, seconds, ...lag }: Lag): string =>
  table(
    ['lag from commit to commit', 'median', '95 %', '99 %', 'max'],
    [
      [
        `${rate.toLocaleString('en-US')} transactions per second for ${seconds} s`,
        ...[lag.median, lag.p95, lag.p99, lag.most].map((value) => `${Math.round(value * 1000)} ms`),
      ],
    ],
  );

/** Renders a row per subject: cost at each size, growth, and extrapolated cost at larger sizes. */
function sizesTable(entries: readonly Measured[]): string {
  const growths = growthsOf(entries);
  const sizes = growths[0]?.sizes.map(({ rows }) => rows) ?? [];
  const measured = sizes.filter((rows) => entries.some((entry) => entry.rows === rows));
  return table(
    [
      '',
      ...sizes.map((rows) => `${shortCount(rows)} rows`),
      'exponent',
      ...measured.map((rows) => `memory at ${shortCount(rows)}`),
    ],
    growths.map(({ subject, exponent, from, to, sizes: shown }) => [
      subject,
      ...shown.map(sizeCell),
      Number.isFinite(exponent) ? `${exponent.toFixed(2)} (${shortCount(from)}–${shortCount(to)})` : '',
      ...measured.map((rows) => memoryCell(shown.find((size) => size.rows === rows))),
    ]),
  );
}

function sizeCell({ seconds, computed, failed }: SizeShown): string {
  if (failed !== undefined) return `failed: ${oneLine(failed)}`;
  if (!Number.isFinite(seconds)) return '';
  return computed ? `≈ ${duration(seconds)}` : duration(seconds);
}

const memoryCell = (size: SizeShown | undefined): string =>
  size?.memory === undefined ? '–' : formatBytes(size.memory);

const duration = (seconds: number): string =>
  seconds < 100 ? `${seconds.toFixed(1)} s` : `${(seconds / 60).toFixed(1)} min`;

const shortCount = (rows: number): string =>
  rows >= 1e6 ? `${rows / 1e6}M` : rows >= 1e3 ? `${rows / 1e3}k` : String(rows);

const parts = ['source', 'warehouse', 'tool', 'temporal'] as const;

function cells({ samples, wire, failed, otherTypes }: Measured, figures: Figures | undefined): string[] {
  if (failed !== undefined || figures === undefined) return [`failed: ${oneLine(failed ?? 'no run')}`];
  const { seconds, ratio, rowsPerSecond, bytesPerSecond, cpu, memory, wal } = figures;
  const spread = samples.length === 1 ? 'once' : `${seconds.least.toFixed(2)}–${seconds.most.toFixed(2)}`;
  return [
    `**${seconds.median.toFixed(2)}** (${spread})`,
    ratio.toFixed(2),
    Math.round(rowsPerSecond).toLocaleString('en-US'),
    (bytesPerSecond / 1e6).toFixed(0),
    parts.map((part) => cpu[part].toFixed(2)).join(' + '),
    `${formatBytes(memory.tool)}, ${formatBytes(memory.warehouse)}`,
    wire === undefined ? '' : `${formatBytes(wire.source)}, ${formatBytes(wire.warehouse)}`,
    formatBytes(wal.warehouse),
    otherTypes === undefined ? '' : otherTypes.join(', ') || 'the same',
  ];
}

function profileTables({ work, timeline, waits, statements, wal, worker }: Profile): string {
  const activities = timeline.activities.map(
    ({ activity, scheduled, started, ended }) =>
      [
        activity,
        milliseconds(scheduled),
        milliseconds(started - scheduled),
        milliseconds(ended - started),
      ] as const,
  );
  const servers = ['source', 'warehouse'] as const;
  return [
    `**${work}**: ${milliseconds(timeline.ended)} according to its history. The warehouse wrote ${formatBytes(wal.bytes)} of WAL in ${wal.records.toLocaleString('en-US')} records, with ${wal.pages} full-page images; its WAL buffers were full ${wal.full.toLocaleString('en-US')} times.`,
    table(['activity', 'scheduled at', 'waited for a worker', 'took'], activities),
    table(
      ['state of the sessions', 'share'],
      servers.flatMap((server) =>
        waits[server].slice(0, 5).map((seen) => [`${server}: ${seen.name}`, percent(seen)]),
      ),
    ),
    table(
      ['statement', 'calls', 'total time'],
      servers.flatMap((server) =>
        statements[server].map(({ text, calls, seconds }) => [
          `${server}: \`${text}\``,
          String(calls),
          milliseconds(seconds * 1000),
        ]),
      ),
    ),
    table(
      ['function in the worker', 'share'],
      worker.map((seen) => [`\`${seen.name}\``, percent(seen)]),
    ),
  ].join('\n\n');
}

const milliseconds = (value: number): string => `${Math.round(value).toLocaleString('en-US')} ms`;
const percent = ({ share }: Share): string => `${(share * 100).toFixed(1)} %`;

const inexact = (types: Readonly<Record<string, Kept>>): string =>
  Object.keys(types)
    .filter((type) => types[type] !== 'exact')
    .join(', ');

function leftOut({ leftOut: peers = {} }: Section): string {
  const each = Object.entries(peers).map(([name, reason]) => `${name} (${oneLine(reason)})`);
  return each.length === 0 ? '' : `Not measured: ${each.join('; ')}.`;
}

function measuredAt({ load, versions, at }: Circumstances): string {
  const [before, after] = load.map((value) => value.toFixed(1));
  return `Measured ${at.slice(0, 10)}, version ${versions[OURS] ?? 'unknown'}, load average ${before} before and ${after} after.`;
}

function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  align = head.map((_, index) => (index === 0 ? '---' : '--:')),
): string {
  const escaped = rows.map((row) => head.map((_, index) => (row[index] ?? '').replaceAll('|', '\\|')));
  return [head, align, ...escaped].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

const oneLine = (text: string): string => text.replaceAll(/\s+/g, ' ');
