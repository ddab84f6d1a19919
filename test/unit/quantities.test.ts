import { describe, expect, test } from 'vitest';
import { duration, formatBytes, formatDuration, size } from '../../src/contract/quantities.ts';

const said = (parsed: { error?: { issues: { message: string }[] } | undefined }) =>
  parsed.error?.issues[0]?.message;

describe('size', () => {
  test.each([
    ['1b', 1],
    ['1kB', 1024],
    ['64MB', 64 * 1024 ** 2],
    ['64 mb', 64 * 1024 ** 2],
    [' 1.5 GB ', 1.5 * 1024 ** 3],
    ['10TB', 10 * 1024 ** 4],
    ['64\u00a0MB', 64 * 1024 ** 2],
    ['64\u202fMB', 64 * 1024 ** 2],
  ])('reads %j as PostgreSQL does: 1 kB is 1,024 bytes', (text, bytes) => {
    expect(size.parse(text)).toBe(bytes);
  });

  test.each([
    '0MB',
    '0',
    '0.4b',
    '-5MB',
    '64',
    '64M',
    'MB',
    '',
    '1e3MB',
    '1,5GB',
    '64MiB',
    '5PB',
    '9999999TB',
    64,
    null,
  ])('refuses %j and shows how a size is written', (input) => {
    expect(said(size.safeParse(input))).toBe('expected a size such as "64MB" or "1 GB"');
  });
});

describe('duration', () => {
  test.each([
    ['5 minutes', 300_000],
    ['90s', 90_000],
    ['1 hour', 3_600_000],
    ['1.5h', 5_400_000],
    ['250 ms', 250],
    ['1.4ms', 1],
    ['2 DAYS', 172_800_000],
    ['5\u00a0minutes', 300_000],
  ])('reads %j, to whole milliseconds', (text, milliseconds) => {
    expect(duration.parse(text)).toBe(milliseconds);
  });

  test.each(['0s', '0.2ms', '-5m', '5', '', ' ', 'soon', '1 fortnight', '5 minutes 3', 300, null])(
    'refuses %j and shows how a duration is written',
    (input) => {
      expect(said(duration.safeParse(input))).toBe(
        'expected a duration such as "5 minutes", "90s" or "1 hour"',
      );
    },
  );

  test('refuses a text of any length without an error of its own, which would block a workflow for ever', () => {
    expect(duration.safeParse(`${'9'.repeat(100_000)}s`).success).toBe(false);
    expect(duration.safeParse('s'.repeat(101)).success).toBe(false);
  });
});

test.each([
  [0, '0 ms'],
  [840.4, '840 ms'],
  [999.6, '1.0 s'],
  [12_345, '12.3 s'],
  [59_940, '59.9 s'],
  [59_960, '1 min 0 s'],
  [119_900, '2 min 0 s'],
  [245_000, '4 min 5 s'],
  [3_599_900, '1 h 0 min'],
  [7_800_000, '2 h 10 min'],
])('formatDuration writes %d ms as %s, and never 60 of a unit', (milliseconds, text) => {
  expect(formatDuration(milliseconds)).toBe(text);
});

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [12.3 * 1024 ** 2, '12.3 MB'],
  [1024 ** 4, '1 TB'],
])('formatBytes writes %d as %s', (amount, text) => {
  expect(formatBytes(amount)).toBe(text);
});
