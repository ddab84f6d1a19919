import { describe, expect, test } from 'vitest';
import type { CaptureStatus } from '../../src/contract/capture-changes.ts';
import type { Progress } from '../../src/contract/progress.ts';
import { captureDetails } from '../../src/workflows/capture-progress.ts';
import { progressDetails } from '../../src/workflows/details.ts';
import { PartitionProgress } from '../../src/workflows/partition-progress.ts';
import { tableLines } from '../setup/table-lines.ts';

const progress: Progress = {
  table: 'public.orders',
  phase: 'copying',
  rows: 1_234_567,
  bytes: 200 * 1024 ** 2,
  chunksDone: 25,
  chunks: 100,
  parallelism: 4,
  copyingSince: 1_000,
  restarts: 0,
};
const now = 11_000;

/** Returns the items of the list. */
const items = (details: string): string[] =>
  details.split('\n').flatMap((line) => (line.startsWith('- ') ? [line.slice(2)] : []));

test('the details say what is done, how fast, and how long it will take', () => {
  const details = progressDetails(progress, now);
  expect(details).toMatch(/^\*\*public\.orders\*\*: copying\n\n- /);
  expect(items(details)).toEqual([
    '1,234,567 rows, 200 MB',
    '25 of 100 chunks, 4 at once',
    '10.0 s of copying, 20 MB/s, about 30.0 s left',
  ]);
});

test('a name is shown as it is, whatever it would mean in Markdown', () => {
  const shown = (table: string) => progressDetails({ ...progress, table }, now).split('\n')[0];
  expect(shown('public.![a](http://b/c.png)')).toBe('**public.!\\[a](http://b/c.png)**: copying');
  expect(shown('a|b*c_d`e\\f~~g~~&lt;h&gt;<i>')).toBe(
    '**a\\|b\\*c\\_d\\`e\\\\f\\~\\~g\\~\\~\\&lt;h\\&gt;\\<i>**: copying',
  );
  expect(shown('two\nlines')).toBe('**two lines**: copying');
});

describe('what is not known is left out', () => {
  test('before copying', () => {
    const planning = {
      ...progress,
      phase: 'planning',
      rows: 0,
      bytes: 0,
      chunksDone: 0,
      chunks: 0,
      copyingSince: 0,
    } as const;
    expect(items(progressDetails(planning, now))).toEqual(['0 rows, 0 B', '4 at once']);
    expect(progressDetails(planning, now)).toContain('"Pending Activities" say what it waits for');
  });

  test('before the first chunk is done, and in the moment in which copying begins', () => {
    expect(items(progressDetails({ ...progress, chunksDone: 0 }, now)).at(-1)).toBe(
      '10.0 s of copying, 20 MB/s',
    );
    const [none, some] = [0, 1].map((chunksDone) => progressDetails({ ...progress, chunksDone }, now));
    expect(none).toContain('Rows are counted once their chunk is done.');
    expect(some).not.toContain('Rows are counted');
    expect(items(progressDetails(progress, progress.copyingSince)).at(-1)).toBe(
      '25 of 100 chunks, 4 at once',
    );
  });

  test.each(['committing', 'done', 'failed', 'cancelled'] as const)('when it is %s', (phase) => {
    expect(progressDetails({ ...progress, phase }, now)).not.toContain('left');
  });
});

test('the snapshot and the restarts are told where there are some', () => {
  expect(progressDetails(progress, now)).not.toMatch(/Snapshot|again/);
  const details = progressDetails({ ...progress, snapshotTakenAt: '2026-01-01T00:00:00Z', restarts: 2 }, now);
  expect(details).toMatch(/Snapshot of 2026-01-01T00:00:00Z, .* old\./);
  expect(details).toContain('began again 2 times on a new snapshot or plan.');
});

test('a restart is told with its reason', () => {
  const restartReason = 'The table was rewritten (PlanOutdated)';
  const told = (restarts: number) => progressDetails({ ...progress, restarts, restartReason }, now);
  expect(told(1)).toContain(`began again once on a new snapshot or plan: ${restartReason}`);
  expect(told(2)).toContain(`began again 2 times on a new snapshot or plan, the last time: ${restartReason}`);
});

test.each(['done', 'failed', 'cancelled'] as const)('a run that is %s has no snapshot that ages', (phase) => {
  const details = progressDetails({ ...progress, phase, snapshotTakenAt: '2026-01-01T00:00:00Z' }, now);
  expect(details).toContain('Snapshot of 2026-01-01T00:00:00Z.');
  expect(details).not.toContain('old');
});

test('the details of a capture say what is written and how far behind it is', () => {
  const status: CaptureStatus = {
    slot: 'datakit_slot',
    phase: 'streaming',
    tables: ['public.orders', 'public.lines'],
    copying: ['public.lines'],
    givenUp: ['public.old_lines'],
    copiedRows: 1_200,
    position: '16/B374D848',
    committedAt: '2026-01-01T00:00:00Z',
    transactions: 10,
    changes: 12_345,
    changesPerSecond: 1_000,
    lagBytes: 2 * 1024 ** 2,
    lagSeconds: 3,
    slotLagBytes: 16 * 1024 ** 2,
    warnings: ['public.lines was renamed.'],
  };
  expect(captureDetails(status).split('\n')).toEqual([
    '**datakit\\_slot**: streaming',
    '',
    '- 12,345 changes, 1,000 per second',
    '- 3 s behind, 2 MB of the log to read, 16 MB held back in the source',
    '- at 16/B374D848, committed 2026-01-01T00:00:00Z',
    '- 2 tables, 1,200 rows copied',
    '',
    'Copying: public.lines.',
    '',
    'Given up, until named in addTables: public.old\\_lines.',
    '',
    'public.lines was renamed.',
  ]);
  const preparing = { ...status, position: null, lagBytes: null, lagSeconds: null, slotLagBytes: null };
  expect(captureDetails(preparing)).not.toMatch(/behind|to read|held back|at /);
});

describe('partitions', () => {
  const MB = 1024 ** 2;
  const labels = [
    { name: 'orders_1', chunks: 2 },
    { name: 'orders_2', chunks: 3 },
    { name: 'orders_3 to orders_9', chunks: 1 },
    { name: 'orders_10', chunks: 4 },
  ];
  const looked = {
    chunksDone: [2, 1, 0, 0],
    foremost: [
      { partition: 1, rows: 100, bytes: 4 * MB },
      { partition: 0, rows: 900, bytes: 20 * MB },
    ],
  };

  test('are shown with their rows, speed and time left, those that are copied first, the others together', () => {
    const partitions = new PartitionProgress(labels);
    partitions.began({ from: 0, count: 6 });
    expect(partitions.shown(1_000)).toMatchObject([{ name: 'orders_1', copyingSince: 1_000 }]);
    partitions.observed(looked);
    expect(partitions.shown(2_000)?.map(({ name }) => name)).toEqual(['orders_2', 'orders_1']);
    const whole = { ...progress, rows: 1_000, bytes: 24 * MB, chunksDone: 3, chunks: 10 };
    const shown = partitions.shown(6_000) ?? [];
    expect(tableLines(progressDetails({ ...whole, partitions: shown }, 6_000))).toEqual([
      '| partition | phase | chunks | left | rows | data | speed |',
      '|:--|:--|--:|--:|--:|--:|--:|',
      '| orders\\_2 | copying | 1 of 3 | 8.0 s | 100 | 4 MB | 1 MB/s |',
      '| orders\\_1 | copied | 2 of 2 |  | 900 | 20 MB |  |',
      '| the others |  | 0 of 5 |  | 0 | 0 B |  |',
    ]);
  });

  test('of a span are copied one after the other, and none when it has ended', () => {
    const partitions = new PartitionProgress(labels);
    const ended = partitions.began({ from: 5, count: 5 });
    const other = partitions.began({ from: 0, count: 1 });
    const copied = () =>
      partitions
        .shown(1)
        ?.filter(({ copyingSince }) => copyingSince !== undefined)
        .map(({ name }) => name);
    expect(copied()).toEqual(['orders_3 to orders_9', 'orders_1']);
    partitions.observed({ chunksDone: [0, 0, 1, 0], foremost: [{ partition: 2, rows: 1, bytes: 1 }] });
    expect(copied()).toEqual(['orders_10', 'orders_1']);
    ended();
    other();
    expect(copied()).toEqual([]);
    expect(partitions.shown(1)).toMatchObject([{ name: 'orders_3 to orders_9', rows: 1 }]);
  });

  test('are bounded, and not told where there is but one', () => {
    const many = new PartitionProgress(
      Array.from({ length: 200 }, (_, index) => ({ name: `p${index}`, chunks: 1 })),
    );
    for (let from = 0; from < 100; from += 1) many.began({ from, count: 1 });
    expect(many.shown(1)).toHaveLength(20);
    expect(new PartitionProgress([{ name: 'orders', chunks: 9 }]).shown(1)).toBeUndefined();
  });
});
