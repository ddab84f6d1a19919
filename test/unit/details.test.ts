import { describe, expect, test } from 'vitest';
import type { Progress } from '../../src/contract/progress.ts';
import { progressDetails } from '../../src/workflows/details.ts';
import { PartitionProgress } from '../../src/workflows/partition-progress.ts';

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

/** Returns the cells of the only row, by their headings. */
function cells(details: string): Record<string, string> {
  const [headings = [], , values = []] = details
    .split('\n')
    .filter((line) => line.startsWith('|'))
    .map((line) =>
      line
        .split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  expect(values).toHaveLength(headings.length);
  return Object.fromEntries(headings.map((heading, index) => [heading, values[index] ?? '']));
}

test('the details say what is done, how fast, and how long it will take', () => {
  const details = progressDetails(progress, now);
  expect(details).toMatch(/^\*\*public\.orders\*\*: copying\n\n\|/);
  expect(cells(details)).toEqual({
    rows: '1,234,567',
    data: '200 MB',
    chunks: '25 of 100',
    'at once': '4',
    'copying for': '10.0 s',
    speed: '20 MB/s',
    left: '30.0 s',
  });
});

describe('what is not known is left blank', () => {
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
    expect(cells(progressDetails(planning, now))).toMatchObject({
      speed: '',
      left: '',
      'copying for': '0 ms',
      chunks: '',
    });
    expect(progressDetails(planning, now)).toContain('"Pending Activities" say what it waits for');
  });

  test('before the first chunk is done, and in the moment in which copying begins', () => {
    expect(cells(progressDetails({ ...progress, chunksDone: 0 }, now))['left']).toBe('');
    expect(cells(progressDetails(progress, progress.copyingSince))['speed']).toBe('');
  });

  test.each(['committing', 'done', 'failed', 'cancelled'] as const)('when it is %s', (phase) => {
    expect(cells(progressDetails({ ...progress, phase }, now))['left']).toBe('');
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
    expect(
      progressDetails({ ...whole, partitions: shown }, 6_000)
        .split('\n')
        .slice(6),
    ).toEqual([
      '| partition | phase | rows | data | chunks | speed | left |',
      '|:--|:--|--:|--:|--:|--:|--:|',
      '| orders\\_2 | copying | 100 | 4 MB | 1 of 3 | 1 MB/s | 8.0 s |',
      '| orders\\_1 | copied | 900 | 20 MB | 2 of 2 |  |  |',
      '| the others |  | 0 | 0 B | 0 of 5 |  |  |',
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
