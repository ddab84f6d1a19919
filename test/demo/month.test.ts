import { expect, test } from 'vitest';
import { monthsBetween, timestampText } from '../../demo/data/month.ts';

const moment = (text: string) => BigInt(Date.parse(`${text}Z`)) * 1000n;

test('the months from the first moment to the last, over the turn of a year', () => {
  const months = monthsBetween(moment('2001-11-30T23:59'), moment('2002-01-01T00:00'));
  expect(months.map(({ suffix }) => suffix)).toEqual(['2001_11', '2001_12', '2002_01']);
  expect(months[1]).toEqual({ suffix: '2001_12', from: moment('2001-12-01'), to: moment('2002-01-01') });
});

test.each([
  ['2001-01-01T00:01:00', 0n, '2001-01-01 00:01:00'],
  ['2001-12-31T23:59:59', 1n, '2001-12-31 23:59:59.000001'],
  ['2001-12-31T23:59:59', 120_000n, '2001-12-31 23:59:59.120000'],
])('%s and %s microseconds as a timestamp', (text, microseconds, expected) => {
  expect(timestampText(moment(text) + microseconds)).toBe(expected);
});
