import { describe, expect, test } from 'vitest';
import { extractTableInput } from '../../src/contract/extract-table.ts';
import { instantOf, moment } from '../../src/contract/moment.ts';

const problems = (input: object): string[] =>
  extractTableInput
    .safeParse({ table: 'sales', ...input })
    .error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? [];

describe('a moment', () => {
  test.each([
    ['2024-02-29', '2024-02-29', false, false],
    [' 2024-02-29 06:30 ', '2024-02-29 06:30:00', true, false],
    ['2024-02-29T06:30:07.123456', '2024-02-29 06:30:07.123456', true, false],
    ['2024-02-29T06:30:00Z', '2024-02-29 06:30:00+00:00', true, true],
    ['2024-02-29 06:30+05', '2024-02-29 06:30:00+05:00', true, true],
    ['2024-02-29 06:30 -0330', '2024-02-29 06:30:00-03:30', true, true],
    ['0001-01-01', '0001-01-01', false, false],
  ])('%s is %s', (written, text, hasTime, hasZone) => {
    expect(moment.parse(written)).toEqual({ text, hasTime, hasZone });
  });

  test.each([
    '', 'today', '2024', '2024-2-1', '2024-02-30', '2023-02-29', '2024-13-01', '0000-01-01', '2024-01-01 24:00',
    '2024-01-01 06:60', '2024-01-01 06', '2024-01-01 06:30:00.1234567', '2024-01-01 06:30+99', "2024-01-01'; --", 20240101,
  ])('%s is none', (written) => {
    expect(moment.safeParse(written).error?.issues[0]?.message).toContain('expected a date or a time');
  }); // prettier-ignore

  test('has its place in time to the microsecond, whatever its zone', () => {
    const at = (text: string) => instantOf(moment.parse(text));
    expect(at('2024-01-01')).toBe(at('2024-01-01T01:00+01:00'));
    expect(at('2024-01-01 00:00:00.000002')).toBeGreaterThan(at('2024-01-01 00:00:00.000001'));
    expect(at('0099-12-31')).toBeLessThan(at('0100-01-01'));
  });
});

describe('what does not go together is refused:', () => {
  const replaces = { write: 'replace-partitions' };
  const incremental = { column: 'day' };
  test.each([
    ['an empty range', { partitions: { from: '2024-02-01T01:00+01:00', to: '2024-02-01' } }, 'partitions.to: must be later than "from"'],
    ['a range and names', { partitions: { from: '2024-01-01', names: ['a'] } }, 'partitions.names: say either a range'],
    ['nothing', { partitions: {} }, 'partitions.from: expected a range (from, to), names or patterns'],
    ['"exact" without a range', { partitions: { names: ['a'], exact: true } }, 'partitions.exact: only allowed with "from" or "to"'],
    ['no name', { partitions: { names: [] } }, 'partitions.names: expected at least one'],
    ['partitions with a cursor', { incremental, partitions: { from: '2024-02-01' } }, 'partitions: not allowed with "incremental"'],
    ['replacing them with a cursor', { incremental, ...replaces }, 'write: "replace-partitions" is not allowed with "incremental"'],
    ['"onlyChanged" where all is replaced', { onlyChanged: true }, 'onlyChanged: only allowed with "write": "replace-partitions"'],
    ['"onlyChanged" of some rows', { ...replaces, where: 'id > 1', onlyChanged: true }, 'onlyChanged: not allowed with "where"'],
    ['large objects of some partitions', { ...replaces, largeObjects: ['oid'] }, 'largeObjects: not supported with "replace-partitions" yet'],
    ['"append" without a cursor', { write: 'append' }, 'write: only allowed with "incremental"'],
  ])('%s', (_, input, problem) => {
    expect(problems(input).join('; ')).toContain(problem);
  }); // prettier-ignore
});
