import { expect, test } from 'vitest';
import { parseCsv } from '../../demo/data/csv.ts';

const parse = (text: string) => [...parseCsv(text)];

test('records are named by the first line', () => {
  expect(parse('iata,city\n00M,Bay Springs\n00R,Livingston\n')).toEqual([
    { iata: '00M', city: 'Bay Springs' },
    { iata: '00R', city: 'Livingston' },
  ]);
});

test('a quoted field may hold quotes, commas and line ends', () => {
  expect(parse('a,b\n"W. H. ""Bud"" Barron","x,\ny"\n')).toEqual([{ a: 'W. H. "Bud" Barron', b: 'x,\ny' }]);
});

test.each(['a,b\r\n1,\r\n', 'a,b\n1,\n', 'a,b\n1,'])(
  'line ends and the last field may be missing: %j',
  (text) => {
    expect(parse(text)).toEqual([{ a: '1', b: '' }]);
  },
);

test('a record of another length is refused', () => {
  expect(() => parse('a,b\n1\n')).toThrow('expected 2 fields, found 1');
});

test('what follows a closing quote is refused', () => {
  expect(() => parse('a\n"1"2\n')).toThrow('expected a comma or the end of the line');
});

test('an empty text has no records', () => {
  expect(parse('')).toEqual([]);
});
