import { describe, expect, test } from 'vitest';
import {
  bookkeepingTables,
  defaultTarget,
  metadataColumnNames,
  metadataColumns,
  storageName,
} from '../../src/bronze/layout.ts';
import { utf8Length } from '../../src/contract/table-name.ts';

describe('defaultTarget', () => {
  test.each([
    ['public', 'orders', 'br_orders'],
    ['sales', 'orders', 'br_sales__orders'],
    ['Public', 'Orders', 'br_Public__Orders'],
    ['a.b', 'c "d"', 'br_a.b__c "d"'],
    ['größe', '表', 'br_größe__表'],
    ['public', 'x'.repeat(60), `br_${'x'.repeat(60)}`],
  ])('of %s.%s is %s', (schema, name, target) => {
    expect(defaultTarget({ schema, name })).toBe(target);
  });

  test('is fitted to 63 bytes where it is longer, its beginning still readable', () => {
    const target = defaultTarget({ schema: 'public', name: 'x'.repeat(61) });
    expect(target).toMatch(/^br_x{49}_[0-9a-f]{10}$/);
    expect(utf8Length(target)).toBe(63);
  });

  test('is cut between characters, never within one', () => {
    for (const name of ['表'.repeat(21), '🙂'.repeat(15), `x${'é'.repeat(31)}`, `${'é'.repeat(30)}🙂`]) {
      const target = defaultTarget({ schema: 'größe', name });
      expect(utf8Length(target)).toBeLessThanOrEqual(63);
      expect(Buffer.from(target).toString()).toBe(target);
    }
  });

  test('differs for long names that PostgreSQL would cut to the same one', () => {
    const names = ['a', 'b', 'c'].map((end) => `${'x'.repeat(62)}${end}`);
    const targets = [
      ...names.map((name) => defaultTarget({ schema: 'public', name })),
      ...names.map((name) => defaultTarget({ schema: 'sales', name })),
    ];
    expect(new Set(targets).size).toBe(targets.length);
  });

  test('is never one of the tables that hold the records', () => {
    for (const name of bookkeepingTables) {
      expect(bookkeepingTables).not.toContain(defaultTarget({ schema: 'public', name }));
    }
  });
});

test('storageName is another one for each load, and fits', () => {
  const long = 'x'.repeat(63);
  const names = ['1', '2', '9007199254740993'].flatMap((plan) => [
    storageName('br_orders', plan),
    storageName(long, plan),
  ]);
  expect(names[0]).toBe('br_orders_1');
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(utf8Length(name)).toBeLessThanOrEqual(63);
});

test('metadata columns tell where the rows came from, by names that no source column may have', () => {
  const table = { schema: 'sales', name: 'orders' };
  const columns = metadataColumns({
    loadedAt: '2026-01-01',
    sourceUri: 'postgresql://host/shop',
    table,
    runId: 'run',
  });
  expect(columns.map(({ name, value }) => [name, value])).toEqual([
    ['_bronze_loaded_at', '2026-01-01'],
    ['_bronze_source', 'postgresql://host/shop'],
    ['_bronze_schema', 'sales'],
    ['_bronze_table', 'orders'],
    ['_bronze_run_id', 'run'],
    ['_bronze_extraction_type', 'full'],
  ]);
  for (const { name } of columns) expect(metadataColumnNames).toContain(name);
});
