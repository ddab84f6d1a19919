import { expect, test } from 'vitest';
import { chooseColumns, type ColumnChoice } from '../../src/postgres/catalog/choose-columns.ts';
import type { Column } from '../../src/postgres/catalog/columns.ts';
import type { Table } from '../../src/postgres/catalog/table.ts';

const table: Table = {
  schema: 'sales',
  name: 'orders',
  oid: 1,
  kind: 'table',
  rowSecurityActive: false,
  role: 'extractor',
};
const column = (name: string, readable = true): Column => ({
  name,
  typeOid: 23,
  type: 'integer',
  nullable: true,
  readable,
});
const all = [column('id'), column('customerID'), column('total'), column('secret', false)];

const names = (choice: ColumnChoice): string[] => chooseColumns(all, table, choice).map(({ name }) => name);

test('columns come in the order of the input', () => {
  expect(names({ columns: ['total', 'id'] })).toEqual(['total', 'id']);
});

test('excluded columns are left out, of all or of those named', () => {
  expect(names({ exclude: ['secret', 'total'] })).toEqual(['id', 'customerID']);
  expect(names({ columns: ['total', 'id'], exclude: ['total'] })).toEqual(['id']);
});

test.each([
  [{ columns: ['customerid'] }, 'sales.orders has no column "customerid" (did you mean "customerID"?)'],
  [{ exclude: ['totals'] }, 'sales.orders has no column "totals" (did you mean "total"?)'],
  [{ columns: ['shipped_at'] }, 'sales.orders has no column "shipped_at"'],
  [{ columns: ['id', 'total', 'id'] }, '"columns" names "id" twice'],
  [{ columns: ['id'], exclude: ['id'] }, '"exclude" leaves no column'],
  [
    {},
    'The role may not read sales.orders (SELECT is missing on "secret"). Ask somebody who may to run: GRANT SELECT ("secret") ON "sales"."orders" TO "extractor"',
  ],
  [{ columns: ['secret'] }, 'to run: GRANT SELECT ON "sales"."orders" TO "extractor"'],
])('%j is refused: %s', (choice, message) => {
  expect(() => names(choice)).toThrow(message);
});

test('a column that may not be read is of no matter where it is not wanted', () => {
  expect(names({ columns: ['id'] })).toEqual(['id']);
});

test('a table that has no columns is no error', () => {
  expect(chooseColumns([], table, {})).toEqual([]);
});
