import { describe, expect, test } from 'vitest';
import { combined, reachOf, type Reach } from '../../src/extraction/partitions/bound-reach.ts';
import { parseBound, type PartitionBound } from '../../src/postgres/partition-bound.ts';

describe('what the catalog writes of a bound', () => {
  test.each<[string, PartitionBound]>([
    ['DEFAULT', { kind: 'default' }],
    ['FOR VALUES WITH (modulus 4, remainder 0)', { kind: 'hash' }],
    [
      `FOR VALUES IN ('a) TO (''', NULL, 7, true)`,
      { kind: 'list', values: [{ is: 'value', text: `a) TO ('` }, { is: 'null' }, { is: 'value', text: '7' }, { is: 'value', text: 'true' }] },
    ],
    [
      `FOR VALUES FROM ('TO', MINVALUE, '-5') TO ('', 'MAXVALUE', MAXVALUE)`,
      {
        kind: 'range',
        from: [{ is: 'value', text: 'TO' }, { is: 'least' }, { is: 'value', text: '-5' }],
        to: [{ is: 'value', text: '' }, { is: 'value', text: 'MAXVALUE' }, { is: 'greatest' }],
      },
    ],
  ])('is read: %s', (text, bound) => {
    expect(parseBound(text)).toEqual(bound);
  }); // prettier-ignore

  test('of a kind that there is not yet is refused, and not taken for another', () => {
    expect(() => parseBound('FOR VALUES NEAR (7)')).toThrow('a bound of an unknown kind');
  });
});

describe('a bound, against the range from 10 to 20,', () => {
  const wanted = { lo: 10, hi: 20, hiIncluded: false };
  const reach = (text: string, position = 0, siblings: string[] = [], othersNullable = false): Reach =>
    reachOf(
      { bound: parseBound(text), position, othersNullable, siblings: () => siblings.map(parseBound) },
      wanted,
      Number,
    );

  test.each<[string, Reach]>([
    ['FOR VALUES FROM (0) TO (10)', 'outside'],
    ['FOR VALUES FROM (0) TO (11)', 'across'],
    ['FOR VALUES FROM (10) TO (20)', 'inside'],
    ['FOR VALUES FROM (19) TO (21)', 'across'],
    ['FOR VALUES FROM (20) TO (30)', 'outside'],
    ['FOR VALUES FROM (MINVALUE) TO (MAXVALUE)', 'across'],
    ['FOR VALUES FROM (20) TO (MAXVALUE)', 'outside'],
    ['FOR VALUES FROM (0, 1) TO (10, 5)', 'across'], // 10 itself is included
    ['FOR VALUES FROM (0, 1) TO (10, MAXVALUE)', 'across'],
    ['FOR VALUES FROM (0, 1) TO (10, MINVALUE)', 'outside'],
    ['FOR VALUES FROM (12, 1) TO (20, MINVALUE)', 'inside'],
    ['FOR VALUES FROM (12, 1) TO (20, 1)', 'across'],
    ['FOR VALUES IN (9, 20)', 'outside'],
    ['FOR VALUES IN (10, 19)', 'inside'],
    ['FOR VALUES IN (10, NULL)', 'across'],
    ['FOR VALUES IN (NULL)', 'outside'],
    ['FOR VALUES WITH (modulus 2, remainder 1)', 'across'],
    ['DEFAULT', 'across'],
  ])('%s: %s', (text, expected) => {
    expect(reach(text)).toBe(expected);
  });

  test('a second column counts where the first is the same at both ends', () => {
    expect(reach(`FOR VALUES FROM ('a', 0) TO ('a', 10)`, 1)).toBe('outside');
    expect(reach(`FOR VALUES FROM ('a', 0) TO ('b', 10)`, 1)).toBe('across');
    expect(reach(`FOR VALUES FROM (MINVALUE, 0) TO (MINVALUE, 10)`, 1)).toBe('across');
  });

  test('a default partition has none of the range where others have all of it', () => {
    const range = (from: string, to: string) => `FOR VALUES FROM (${from}) TO (${to})`;
    expect(reach('DEFAULT', 0, [range('15', '20'), range('0', '15')])).toBe('outside');
    expect(reach('DEFAULT', 0, [range('0', '15'), range('16', '20')])).toBe('across');
    expect(reach('DEFAULT', 0, [range('0', '15'), range('15', '19')])).toBe('across');
    expect(reach('DEFAULT', 0, [range('0, MINVALUE', '20, MINVALUE')])).toBe('outside');
    expect(reach('DEFAULT', 0, [range('0, MINVALUE', '20, MINVALUE')], true)).toBe('across');
    expect(reach('DEFAULT', 0, [range('0, MINVALUE', '20, 5')])).toBe('across');
    expect(reach('DEFAULT', 1, [range('0, MINVALUE', '30, MINVALUE')])).toBe('across');
  });

  test('of all levels above it the one that says most counts', () => {
    expect(combined(['across', 'outside', 'inside'])).toBe('outside');
    expect(combined(['across', 'inside', 'across'])).toBe('inside');
    expect(combined(['across', 'across'])).toBe('across');
  });
});
