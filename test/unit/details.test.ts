import { describe, expect, test } from 'vitest';
import type { Progress } from '../../src/contract/progress.ts';
import { progressDetails } from '../../src/workflows/details.ts';

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

/** The cells of the one row, by their headings. */
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
    });
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
  expect(details).toContain('began again 2 times');
});
