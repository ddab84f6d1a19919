import { describe, expect, test } from 'vitest';
import { parseDatabaseInput, type ExtractDatabaseRequest } from '../../src/contract/extract-database.ts';
import { atScheduledTime, scheduledMoment } from '../../src/contract/scheduled-time.ts';
import { TableSelection } from '../../src/contract/table-selection.ts';
import { parseTablePattern } from '../../src/contract/table-pattern.ts';

const table = (schema: string, name: string) => ({ schema, name });

describe('a pattern', () => {
  test.each([
    ['orders', table('public', 'orders'), true],
    ['orders', table('sales', 'orders'), false],
    ['sales.*', table('sales', 'or.ders'), true],
    ['sales.*', table('sales2', 'orders'), false],
    ['*.orders', table('sales', 'orders'), true],
    ['*', table('public', 'line\nbreak'), true],
    ['tmp_*', table('public', 'tmp'), false],
    ['*_log_*', table('public', 'a_log_b'), true],
    ['a+b*', table('public', 'a+b1'), true],
    ['a+b*', table('public', 'aab1'), false],
    ['a?b*', table('public', 'a?b1'), true],
    ['a?b*', table('public', 'axb1'), false],
    ['*.*', table('odd.schema', '*'), true],
    ['s*s.o*', table('sales', 'orders'), true],
    ['s*s.o*', table('sale', 'sorders'), false],
    ['"s.a"."o"', table('s.a', 'o'), true],
    ['\u{1F4A1}*\u{1F4A1}', table('public', '\u{1F4A1}\u{1F4A1}'), true],
    ['"odd*name"', table('public', 'odd*name'), true],
    ['"odd*name"', table('public', 'oddXname'), false],
    ['"odd.schema".*', table('odd.schema', 'x'), true],
  ])('%s and %j: %s', (pattern, name, matches) => {
    expect(parseTablePattern(pattern)?.matches(name)).toBe(matches);
    expect(new TableSelection({ tables: ['*.no', pattern] }).has(name)).toBe(matches);
  });

  test('of many stars is decided at once', () => {
    const name = table('public', 'a'.repeat(63));
    expect(parseTablePattern(`public.${'*a'.repeat(50)}*b`)?.matches(name)).toBe(false);
  });

  test.each(['', '!', '.', 'a.b.c', 'a.', '"a', '""', 'a"b'])('%s is none', (text) => {
    expect(parseTablePattern(text)).toBeUndefined();
  });
});

describe('of the entries that match', () => {
  const request: ExtractDatabaseRequest = {
    tables: [
      'public.*',
      '!tmp_*',
      'tmp_rates',
      { table: 'public.events*', chunkSize: '1MB', verify: 'checksum' },
      { table: 'events_big', chunkSize: '64MB' },
      '!events_old',
    ],
    defaults: { verify: 'rows', stallTimeout: '1 hour' },
  };
  const selection = new TableSelection(request);

  test('the last decides whether a table is wanted', () => {
    const wanted = ['a', 'tmp_x', 'tmp_rates', 'events_old', 'events_big'].filter((name) =>
      selection.has(table('public', name)),
    );
    expect(wanted).toEqual(['a', 'tmp_rates', 'events_big']);
    expect(selection.named().map(({ name }) => name)).toEqual(['tmp_rates', 'events_big']);
  });

  test('settings are taken from all, the later over the earlier and all over the defaults', () => {
    expect(selection.requestFor(table('public', 'events_big'))).toEqual({
      table: { schema: 'public', table: 'events_big' },
      source: 'default',
      consistency: 'snapshot',
      chunkSize: '64MB',
      verify: 'checksum',
      stallTimeout: '1 hour',
    });
  });
});

describe('an input that is refused names the place, and what was meant', () => {
  test.each([
    [{ tables: [] }, 'tables: expected at least one table or pattern'],
    [{ tables: ['a.b.c'] }, 'tables.0: expected a table or a pattern'],
    [
      { tables: ['a', { table: 'b', incrementel: {} }] },
      'tables.1.incrementel: unknown key (did you mean "incremental"?)',
    ],
    [{ tables: ['a', { table: 'b', chunkSize: '5 apples' }] }, 'tables.1.chunkSize: expected a size'],
    [{ tables: ['a', { table: 'b', parallelism: 2 }] }, 'tables.1.parallelism: unknown key'],
    [{ tables: ['a'], defaults: { write: 'merge' } }, 'defaults.write: only allowed with "incremental"'],
    [
      { tables: [{ table: 'a', incremental: { column: 'x' } }], consistency: 'none' },
      'tables.0.consistency: "none"',
    ],
    [{ tables: ['a'], onTableFailure: 'ignore' }, 'onTableFailure: '],
    [
      { tables: ['a'], where: 'true' },
      'where: unknown key (it belongs in an object of "tables" or "defaults")',
    ],
    [
      { tables: [{ table: 'a', incremental: 'x' }] },
      'tables.0.incremental: invalid input: expected object, received string, as in "incremental": {"column":',
    ],
    [{ tabels: ['a'] }, 'tabels: unknown key (did you mean "tables"?)'],
  ])('%j', (request, message) => {
    expect(() => parseDatabaseInput(request as unknown as ExtractDatabaseRequest)).toThrow(message);
    expect(() => parseDatabaseInput(request as unknown as ExtractDatabaseRequest)).toThrow(
      'An input that works: {',
    );
  });
});

describe('what an entry is told by others', () => {
  const updates = { incremental: { column: 'updated_at' } };

  test.each([
    [
      { table: 'public.*', ...updates },
      { table: 'events', write: 'merge' },
    ],
    [
      { table: 'events_*', write: 'merge' },
      { table: '*.events*', ...updates },
    ],
    ['public.*', { table: '*', ...updates }, '!old', { table: 'events', currentView: true }],
  ])('that match all of its tables, whether before or after it, is part of it: %j', (...tables) => {
    expect(() => parseDatabaseInput({ tables })).not.toThrow();
  });

  test.each([
    [
      [
        { table: 'public.*', ...updates },
        { table: 'days', partitions: { names: ['a'] } },
      ],
      'tables.1.partitions: not allowed with "incremental"',
    ],
    [
      [
        { table: 'sales.*', ...updates },
        { table: 'events', write: 'merge' },
      ],
      'tables.1.write: only allowed with "incremental"',
    ],
    [
      [
        { table: '*_old', ...updates },
        { table: 'events_*', write: 'merge' },
      ],
      'tables.1.write: only allowed with "incremental"',
    ],
  ])('may be what it contradicts, or not be enough: %j', (tables, message) => {
    expect(() => parseDatabaseInput({ tables })).toThrow(message);
  });
});

test('ten thousand patterns with settings are checked in seconds, and so are the tables of a source', () => {
  const tables = Array.from({ length: 10_000 }, (_, index) => ({ table: `s.t${index}_*`, chunkSize: '1MB' }));
  const started = performance.now();
  expect(parseDatabaseInput({ tables: ['*.*', ...tables] }).input.tables).toHaveLength(10_001);
  const selection = new TableSelection({ tables });
  expect(tables.filter((_, index) => selection.has(table('s', `t${index}_x`)))).toHaveLength(10_000);
  expect(performance.now() - started).toBeLessThan(20_000);
});

describe('what is relative to the time of a schedule', () => {
  const scheduled = new Date('2024-03-10T00:00:00Z');

  test.each([
    ['scheduled', '2024-03-10T00:00:00.000Z'],
    ['scheduled - 1 day', '2024-03-09T00:00:00.000Z'],
    ['Scheduled+90 minutes', '2024-03-10T01:30:00.000Z'],
    ['scheduled - 1 apple', undefined],
    ['scheduled - 999999999 years', undefined],
    [`scheduled - ${'1'.repeat(150)} days`, undefined],
    ['2024-01-01', undefined],
    ['scheduled day', undefined],
  ])('%s', (text, moment) => {
    expect(scheduledMoment(text, scheduled)?.toISOString()).toBe(moment);
  });

  test('is made absolute in ranges, and nowhere else', () => {
    const request = {
      where: 'scheduled',
      incremental: { column: 'scheduled', from: 'scheduled - 1 day', to: 5 },
    };
    expect(atScheduledTime(request, scheduled)).toEqual({
      where: 'scheduled',
      incremental: { column: 'scheduled', from: '2024-03-09T00:00:00.000Z', to: 5 },
    });
  });

  test('is without a zone for partitions, and a date where it is midnight in UTC', () => {
    const partitions = { from: 'scheduled - 1 day', to: 'scheduled + 90 minutes' };
    expect(atScheduledTime({ partitions }, scheduled)).toEqual({
      partitions: { from: '2024-03-09', to: '2024-03-10T01:30:00.000' },
    });
  });
});

test.each([
  [{ maxSourceConnections: 2 }, 'maxSourceConnections: expected at least 3 with "consistency": "snapshot"'],
  [{ maxSourceConnections: 1, consistency: 'table' }, 'expected at least 2 with "consistency": "table"'],
  [{ defaults: { maxSourceConnections: 3 } }, 'defaults.maxSourceConnections'],
])('%j is refused: the sessions are those of all tables together', (input, message) => {
  expect(() => parseDatabaseInput({ tables: ['orders'], ...input })).toThrow(message);
  const most = { tables: ['orders'], consistency: 'none', maxSourceConnections: 1 };
  expect(parseDatabaseInput(most).input.maxSourceConnections).toBe(1);
});
