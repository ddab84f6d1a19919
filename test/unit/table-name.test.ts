import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { parseInput } from '../../src/contract/parse-input.ts';
import { formatTableName, parseTableName, tableName, utf8Length } from '../../src/contract/table-name.ts';
import { randomName } from '../setup/random-name.ts';
import { seeded } from '../setup/seeded.ts';

describe('parseTableName', () => {
  test.each([
    ['orders', 'public', 'orders'],
    ['sales.orders', 'sales', 'orders'],
    ['Sales.Orders', 'Sales', 'Orders'],
    ['order lines', 'public', 'order lines'],
    [' padded ', 'public', ' padded '],
    ['"odd.schema".orders', 'odd.schema', 'orders'],
    ['sales."odd.table"', 'sales', 'odd.table'],
    ['"say ""hi"""', 'public', 'say "hi"'],
    ['"""".""""', '"', '"'],
    ['größe.naïve_表', 'größe', 'naïve_表'],
    ['select', 'public', 'select'],
    ["it's", 'public', "it's"],
    ['100%.$1', '100%', '$1'],
    ['a;b--c/*', 'public', 'a;b--c/*'],
  ])('reads %s as it is written, nothing folded', (text, schema, name) => {
    expect(parseTableName(text)).toEqual({ schema, name });
  });

  test.each([
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'a.b.c',
    '"a"."b"."c"',
    'a.b.',
    '""',
    '"a',
    'a"',
    'a"b',
    '"a"b',
    '"a".',
    '"a""',
  ])('refuses %j, which names no table or more than one', (text) => {
    expect(parseTableName(text)).toBeUndefined();
  });
});

describe('formatTableName', () => {
  test('quotes only what holds a dot or a quote', () => {
    expect(formatTableName({ schema: 'public', name: 'order lines' })).toBe('public.order lines');
    expect(formatTableName({ schema: 'a.b', name: 'c"d' })).toBe('"a.b"."c""d"');
  });

  test('is read back to the same table, whatever the names', () => {
    const random = seeded(20260711);
    for (let round = 0; round < 5000; round += 1) {
      const table = { schema: randomName(random), name: randomName(random) };
      expect(parseTableName(formatTableName(table))).toEqual(table);
    }
  });

  test('gives two tables two texts', () => {
    expect(formatTableName({ schema: 'a.b', name: 'c' })).not.toBe(
      formatTableName({ schema: 'a', name: 'b.c' }),
    );
  });
});

describe('tableName', () => {
  const schema = z.strictObject({ table: tableName });
  const said = (table: unknown): string => {
    try {
      return JSON.stringify(parseInput(schema, { table }, { table: 'orders' }));
    } catch (error) {
      return String(error);
    }
  };

  test('takes 63 bytes and not one more, since PostgreSQL would cut the name silently', () => {
    const fits = `${'é'.repeat(31)}x`;
    expect(tableName.parse(fits)).toEqual({ schema: 'public', name: fits });
    expect(said(`${fits}y`)).toContain('at most 63 bytes');
    expect(said(`${fits}y.orders`)).toContain('at most 63 bytes');
    expect(tableName.safeParse({ schema: fits, table: fits }).success).toBe(true);
    expect(tableName.safeParse({ schema: `${fits}y`, table: 'a' }).success).toBe(false);
  });

  test('takes an object, whose names are taken as they are', () => {
    expect(tableName.parse({ schema: 'a.b', table: 'c"d' })).toEqual({ schema: 'a.b', name: 'c"d' });
    expect(tableName.parse({ table: 'orders' })).toEqual({ schema: 'public', name: 'orders' });
  });

  test.each([5, undefined, null, [], 'a.b.c', ''])('says of %j what it expects instead', (input) => {
    expect(said(input)).toContain(
      'expected "orders", "sales.orders" or {"schema": "sales", "table": "orders"}',
    );
  });

  test('refuses a NUL character, which no name can hold', () => {
    expect(said('a\0b')).toContain('NUL');
  });
});

test('utf8Length counts as the encoder does', () => {
  for (const text of ['', 'plain', 'größe', '表', '🙂', 'a🙂é表']) {
    expect(utf8Length(text)).toBe(Buffer.byteLength(text));
  }
});
