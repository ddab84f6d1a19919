import { readdir, readFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { parseCount, parseOptions } from '../../bench/options.ts';
import { withFigures } from '../../bench/figures.ts';
import { growthOf, growthsOf } from '../../bench/growth.ts';
import { render, renderVersions } from '../../bench/render.ts';
import type { Circumstances, Measured, Sample } from '../../bench/result.ts';
import { inReach } from '../../bench/sizes.ts';
import { median } from '../../bench/statistics.ts';

test.each([
  ['200000', 200_000],
  ['200k', 200_000],
  ['1M', 1_000_000],
  ['2.5m', 2_500_000],
])('%s is a number of rows', (text, count) => {
  expect(parseCount('--rows', text)).toBe(count);
});

test.each(['', 'M', '0', '1.5', '-1', '1G', 'many'])('"%s" is not a number of rows', (text) => {
  expect(() => parseCount('--rows', text)).toThrow(`--rows takes a number such as 200000, 200k or 1M`);
});

test('options that are not known and benchmarks that are not there are refused', () => {
  expect(() => parseOptions(['--row', '1M'])).toThrow("Unknown option '--row'");
  expect(() => parseOptions(['--only', 'peers,shape'])).toThrow(
    'There is no benchmark "shape". There is: copy, peers, ',
  );
  expect(parseOptions(['--only', 'peers, shapes', '--rows=1M'])).toMatchObject({
    only: ['peers', 'shapes'],
    rows: 1_000_000,
  });
});

test('without names all benchmarks are run, and no study', () => {
  const { only } = parseOptions([]);
  expect(only).toContain('peers');
  expect(only).not.toContain('tuning');
});

test('the median is the middle', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(median([])).toBeNaN();
});

test('growth is told by its exponent, and larger sizes by what a row more took', () => {
  const linear = growthOf([1e6, 1e7], [5, 50]);
  expect(linear.exponent).toBeCloseTo(1);
  expect(linear.at(1e8)).toBeCloseTo(500);
  expect(growthOf([1e6, 1e7], [5, 500]).exponent).toBeCloseTo(2);
  // fixed costs are not multiplied
  expect(growthOf([1e6, 1e7], [2, 11]).at(1e8)).toBeCloseTo(101);
});

const sample = (seconds: number): Sample => ({
  seconds,
  cpu: { source: 1, warehouse: 2, tool: 0.5, temporal: 0.1 },
  memory: { tool: 100 * 1024 ** 2, source: 0, warehouse: 50 * 1024 ** 2 },
  wal: { source: 0, warehouse: 10 * 1024 ** 2 },
});

const circumstances: Circumstances = {
  at: '2000-01-02T03:04:05.000Z',
  machine: { processor: 'a processor', cores: 2, memory: 8 * 1024 ** 3, system: 'linux' },
  load: [0.1, 2],
  versions: { 'datakit-postgres': '1.2.3 (abc)', node: 'v1', gone: '2.0' },
};

const atSize = (subject: string, rows: number, ...seconds: number[]): Measured => ({
  subject,
  case: `${rows} rows`,
  rows,
  bytes: rows * 300,
  samples: seconds.map(sample),
});

test('growth is of the last factor of ten that was measured, and what was not measured is computed', () => {
  const [quick, slow] = growthsOf([
    atSize('quick', 1e5, 1),
    atSize('slow', 1e5, 10),
    atSize('quick', 1e6, 4),
    atSize('slow', 1e6, 100),
    atSize('quick', 1e7, 40),
  ]);
  expect(quick).toMatchObject({ exponent: 1, from: 1e6, to: 1e7 });
  expect(slow).toMatchObject({ exponent: 1, from: 1e5, to: 1e6 });
  expect(quick?.sizes.map(({ computed }) => computed)).toEqual([false, false, false, true]);
  expect(slow?.sizes.map(({ computed }) => computed)).toEqual([false, false, true, true]);
  expect(slow?.sizes.at(-1)?.seconds).toBeCloseTo(10_000);
});

test('computed times are marked, and sizes that were not measured have no memory', () => {
  const entries = [atSize('ours', 1e5, 1), atSize('ours', 1e6, 10), atSize('slow', 1e5, 50)];
  const text = render({ kind: 'times', title: '', about: 'Sizes.', sizes: true, entries }, circumstances);
  expect(text).toContain(
    '| ours | 1.0 s | 10.0 s | ≈ 1.7 min | ≈ 16.7 min | 1.00 (100k–1M) | 100 MB | 100 MB |',
  );
  expect(text).toContain('| slow | 50.0 s |');
  expect(text).toContain('| 100 MB | – |');
});

test('a size is out of reach that takes too long, or more memory than there is', () => {
  const using = (memory: number, entry: Measured): Measured => ({
    ...entry,
    samples: entry.samples.map((one) => ({ ...one, memory: { ...one.memory, tool: memory } })),
  });
  const memory = 8 * 1024 ** 3;
  expect(inReach([], 1e4, memory)).toBe(true);
  expect(inReach([atSize('slow', 1e4, 30)], 1e5, memory)).toBe(true);
  expect(inReach([{ ...atSize('failed', 1e4), failed: 'no' }], 1e5, memory)).toBe(false);
  expect(inReach([atSize('slow', 1e4, 3), atSize('slow', 1e5, 30)], 1e6, memory)).toBe(false);
  // fixed costs are not multiplied
  const steady = [atSize('steady', 1e4, 20), atSize('steady', 1e5, 25)];
  expect(inReach(steady, 1e6, memory)).toBe(true);
  const growing = [using(1e8, atSize('growing', 1e4, 1)), using(1e9, atSize('growing', 1e5, 2))];
  expect(inReach(growing, 1e6, memory)).toBe(false);
});

test('the file of results has all that tables show', () => {
  const base = atSize('psql | psql, binary', 1000, 2);
  const section = {
    kind: 'times',
    title: '',
    about: '',
    entries: [atSize('ours', 1000, 5, 3, 4), base],
  } as const;
  expect(withFigures(section)).toMatchObject({
    entries: [
      { figures: { seconds: { median: 4, least: 3, most: 5 }, ratio: 2, rowsPerSecond: 250 } },
      { figures: { ratio: 1 } },
    ],
  });
  const types = { integer: 'exact', jsonb: 'text' } as const;
  const values = {
    kind: 'values',
    title: '',
    about: '',
    entries: [{ subject: 'ours', types, together: true }],
  } as const;
  expect(withFigures(values)).toMatchObject({
    entries: [{ counts: { exact: 1, text: 1, lost: 0, refused: 0 } }],
  });
});

test('times are shown with their spread and their ratio to the pipe of psql', () => {
  const entry = { case: 'rows', rows: 1_000_000, bytes: 300e6 };
  const text = render(
    {
      kind: 'times',
      title: 'Peers',
      about: 'A table.',
      entries: [
        { ...entry, subject: 'ours', samples: [sample(4), sample(2), sample(3)], otherTypes: [] },
        { ...entry, subject: 'psql | psql, binary', samples: [sample(6)], otherTypes: ['jsonb as text'] },
        { ...entry, subject: 'broken', samples: [], failed: 'status 1: no | way' },
      ],
      leftOut: { gone: 'cannot be installed' },
    },
    circumstances,
  );
  expect(text).toContain(
    '| ours | **3.00** (2.00–4.00) | 0.50 | 333,333 | 100 | 1.00 + 2.00 + 0.50 + 0.10 | 100 MB, 50 MB | 10 MB | the same |',
  );
  expect(text).toContain('| 10 MB | jsonb as text |');
  expect(text).toContain(String.raw`| broken | failed: status 1: no \| way |`);
  expect(text).toContain('Not measured: gone (cannot be installed).');
  expect(text).toContain('Measured 2000-01-02, version 1.2.3 (abc), load average 0.1 before and 2.0 after.');
});

test('changes are shown with the memory of each round and their lag', () => {
  const entry = { case: 'small', rows: 1000, bytes: 1e6 };
  const text = render(
    {
      kind: 'changes',
      title: 'Changes',
      about: 'A log.',
      base: 'pg_recvlogical',
      entries: [
        { ...entry, subject: 'datakit-postgres', samples: [sample(1), sample(3), sample(2)] },
        { ...entry, subject: 'pg_recvlogical', samples: [sample(4)] },
      ],
      lag: { rate: 1000, seconds: 30, median: 0.1, p95: 0.2, p99: 0.3, most: 0.45 },
    },
    circumstances,
  );
  expect(text).toContain('| datakit-postgres | **2.00** (1.00–3.00) | 0.50 |');
  expect(text).toContain('| peak memory of the worker | round 1 | round 2 | round 3 |');
  expect(text).toContain('| small | 100 MB | 100 MB | 100 MB |');
  expect(text).toContain('| 1,000 transactions per second for 30 s | 100 ms | 200 ms | 300 ms | 450 ms |');
});

test('versions are listed once, with what is run', () => {
  const section = { kind: 'times', title: '', about: '', entries: [] } as const;
  const results = {
    peers: { ...section, circumstances },
    shapes: { ...section, circumstances: { ...circumstances, versions: { node: 'v2' } } },
  };
  const text = renderVersions(results, { gone: '`gone copy`' });
  expect(text).toContain('2 × a processor, 8 GB.');
  expect(text).toContain('| node |  | v1 and v2 |');
  expect(text).toContain('| gone | `gone copy` | 2.0 |');
});

test('every benchmark that a document names is there', async () => {
  const documents = [
    'README.md',
    ...(await readdir('docs')).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`),
  ];
  let commands = 0;
  for (const document of documents) {
    const text = await readFile(document, 'utf8');
    for (const [, options = ''] of text.matchAll(/npm run bench -- ([^`#\n]*?)(?= *(?:[`#\n]|&&))/g)) {
      expect(() => parseOptions(options.trim().split(/ +/)), `${document}: ${options}`).not.toThrow();
      commands += 1;
    }
  }
  expect(commands).toBeGreaterThan(5);
});
