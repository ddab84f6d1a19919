import { describe, expect, test } from 'vitest';
import { captureChangesExample, captureChangesInput } from '../../src/contract/capture-changes.ts';
import { extractTableExample, extractTableInput } from '../../src/contract/extract-table.ts';
import { parseInput } from '../../src/contract/parse-input.ts';
import { quietHours, untilQuiet } from '../../src/contract/quiet-hours.ts';
import { chosenSettings } from '../../src/contract/session-settings.ts';
import { shareConnections } from '../../src/contract/source-inputs.ts';

const parse = (input: object) =>
  parseInput(extractTableInput, { table: 'orders', ...input }, extractTableExample);

const parseCapture = (input: object) =>
  parseInput(captureChangesInput, { ...captureChangesExample, ...input }, captureChangesExample);

describe('settings of the sessions that read', () => {
  test.each<[object, string]>([
    [{ session: { work_mem: '256' } }, 'session.work_mem: expected an amount of memory such as "256MB"'],
    [{ session: { wrok_mem: '256MB' } }, 'session.wrok_mem: unknown key (did you mean "work_mem"?)'],
    [{ session: { search_path: 'evil' } }, 'session.search_path: unknown key'],
    [{ session: { role: 'postgres' } }, 'session.role: unknown key'],
    [{ session: { jit: 'off' } }, 'session.jit: expected true or false'],
    [{ session: { random_page_cost: -1 } }, 'session.random_page_cost: expected a number from 0'],
    [{ tuning: 'fast' }, 'tuning: '],
  ])('%o is refused', (input, words) => {
    expect(() => parse(input)).toThrow(words);
  });

  test('of a profile give way to those that are named', () => {
    expect(chosenSettings('guide', { work_mem: '1GB', jit: false })).toEqual({
      work_mem: '1GB',
      maintenance_work_mem: '512MB',
      effective_cache_size: '4GB',
      random_page_cost: '1.1',
      effective_io_concurrency: '200',
      max_parallel_workers_per_gather: '4',
      jit: 'false',
    });
    expect(chosenSettings(undefined, undefined)).toBeUndefined();
  });
});

describe('what is waited for', () => {
  // 2,147,483,647 ms: beyond that, a Node.js timer fires at once
  const longest = '2147483647ms';
  const tooLong = '2147483648ms';

  test.each(['stallTimeout', 'statementTimeout', 'lockTimeout', 'idleTimeout'])(
    'is waited for in timers: %s',
    (name) => {
      expect(parse({ [name]: longest })).toMatchObject({ [name]: 2_147_483_647 });
      expect(() => parse({ [name]: tooLong })).toThrow(`${name}: expected at most "24 days"`);
    },
  );

  test.each(['stallTimeout', 'heartbeat'])('is waited for in timers of captures: %s', (name) => {
    const capture = (text: string) => parseCapture({ [name]: text });
    expect(capture(longest)).toMatchObject({ [name]: 2_147_483_647 });
    expect(() => capture(tooLong)).toThrow(`${name}: expected at most "24 days"`);
  });

  test.each([
    ['of a copy', (text: string) => parse({ stallTimeout: text })],
    ['of a stream', (text: string) => parseCapture({ stallTimeout: text })],
  ])('is no stall before a second has passed: %s', (_, stalls) => {
    expect(stalls('1 second')).toMatchObject({ stallTimeout: 1_000 });
    expect(() => stalls('999 ms')).toThrow('stallTimeout: expected at least "1 second"');
  });
});

describe('quiet hours', () => {
  const at = (time: string): number => Date.parse(time);
  const minutes = (hours: object, time: string): number =>
    untilQuiet(quietHours.parse(hours), at(time)) / 60_000;
  const night = { from: '22:00', to: '06:00' };

  test.each<[object, string, number]>([
    [night, '2026-03-10T21:59:00Z', 1],
    [night, '2026-03-10T21:59:30Z', 0.5],
    [night, '2026-03-10T22:00:00Z', 0],
    [night, '2026-03-10T00:00:00Z', 0],
    [night, '2026-03-10T05:59:59Z', 0],
    [night, '2026-03-10T06:00:00Z', 16 * 60],
    [{ from: '01:00', to: '02:00' }, '2026-03-10T00:30:00Z', 30],
    [{ from: '01:00', to: '02:00' }, '2026-03-10T02:00:00Z', 23 * 60],
    [{ ...night, timeZone: 'Europe/Berlin' }, '2026-01-10T20:30:00Z', 30],
    [{ ...night, timeZone: 'Europe/Berlin' }, '2026-07-10T20:30:00Z', 0],
    [{ ...night, timeZone: 'Asia/Kolkata' }, '2026-07-10T16:00:00Z', 30],
  ])('%o at %s: in %d minutes', (hours, time, expected) => {
    expect(minutes(hours, time)).toBe(expected);
  });

  test.each<[object, string]>([
    [{ from: '24:00', to: '06:00' }, 'quietHours.from: expected a time of day such as "22:00"'],
    [{ from: '22:00', to: '22:00' }, 'expected "from" and "to" to differ'],
    [{ ...night, timeZone: 'Mars/Olympus' }, 'quietHours.timeZone: expected a time zone'],
  ])('%o are refused', (hours, words) => {
    expect(() => parse({ quietHours: hours })).toThrow(words);
  });
});

test('an age of the snapshot is refused where none is held', () => {
  expect(() => parse({ maxSnapshotAge: '1 hour', consistency: 'none' })).toThrow(
    'maxSnapshotAge: not allowed with "consistency": "none"',
  );
});

describe('connections', () => {
  test.each<[number | undefined, boolean, number, boolean]>([
    [undefined, true, Number.POSITIVE_INFINITY, true],
    [2, true, 1, false],
    [3, true, 1, true],
    [8, true, 6, true],
    [1, false, 1, false],
    [8, false, 8, false],
  ])('%s, with a snapshot: %s', (most, holding, copies, companion) => {
    expect(shareConnections(most, holding)).toEqual({ copies, companion });
  });

  test('are at least what a run with a snapshot needs', () => {
    expect(() => parse({ maxSourceConnections: 1 })).toThrow('maxSourceConnections: expected at least 2');
    expect(parse({ maxSourceConnections: 1, consistency: 'none' }).maxSourceConnections).toBe(1);
  });
});

test.each<[object, string]>([
  [{ idleTimeout: '5 seconds' }, 'idleTimeout: expected at least "10 seconds"'],
  [{ lockTimeout: '30 days' }, 'lockTimeout: expected at most "24 days"'],
  [{ maxBytesPerSecond: '1kB' }, 'maxBytesPerSecond: expected at least "64kB"'],
])('%o is refused', (input, words) => {
  expect(() => parse(input)).toThrow(words);
});
