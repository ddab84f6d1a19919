import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { captureChangesInput } from '../../src/contract/capture-changes.ts';
import { extractDatabaseInput } from '../../src/contract/extract-database.ts';
import { extractTableExample, extractTableInput } from '../../src/contract/extract-table.ts';
import { InputError, parseInput, suggestion } from '../../src/contract/parse-input.ts';

function refusal(input: unknown, schema: z.ZodType = extractTableInput): string {
  try {
    parseInput(schema, input, extractTableExample);
  } catch (error) {
    if (error instanceof InputError) return error.message;
    throw error;
  }
  throw new Error('the input was not refused');
}

describe('what is wrong is named', () => {
  test.each([
    [{ table: 'x', column: ['a'] }, 'column: unknown key (did you mean "columns"?)'],
    [{ table: 'x', chunk_size: '1MB' }, 'chunk_size: unknown key (did you mean "chunkSize"?)'],
    [{ table: 'x', CHUNKSIZE: '1MB' }, 'CHUNKSIZE: unknown key (did you mean "chunkSize"?)'],
    [{ tabel: 'x' }, 'tabel: unknown key (did you mean "table"?)'],
    [{ table: 'x', colour: 'red' }, 'colour: unknown key'],
    [{ table: { shema: 'a', table: 'b' } }, 'table.shema: unknown key (did you mean "schema"?)'],
    [{ table: { schema: 5, table: 'b' } }, 'table.schema: invalid input: expected string, received number'],
    [{ table: { table: '' } }, 'table.table: expected a name'],
    [{ table: 'x', columns: ['a', 5] }, 'columns.1: invalid input: expected string, received number'],
    [
      { table: 'x', columns: 'a' },
      'columns: invalid input: expected array, received string, as in "columns": ["id","status"].',
    ],
    [
      { table: 'x', json: ['a'] },
      'json: invalid input: expected object, received array, as in "json": {"parse":["payload"]}.',
    ],
    [
      { table: 'x', arrays: { expand: 'a' } },
      'arrays.expand: invalid input: expected array, received string, as in "expand": ["tags"].',
    ],
    [
      { table: 'x', incremental: { column: 'a', from: '' } },
      'incremental.from: expected a value of 1 to 1,000 characters, such as',
    ],
    [
      { table: 'x', incremental: { column: 'a', from: 2 ** 60 } },
      'incremental.from: expected a whole number below 2^53: write a greater one as text',
    ],
    [
      { table: 'x', incremental: { column: 'a', to: 'scheduled - 1 dya' } },
      'incremental.to: expected "scheduled", or a duration before or after it: "scheduled - 1 day"',
    ],
    [
      { table: 'x', incremental: 'updated_at' },
      'incremental: invalid input: expected object, received string, as in "incremental": {"column":"updated_at"}.',
    ],
    [{ table: 'x', incremental: {} }, 'incremental.column: is required.'],
    [
      { table: 'x', session: { statement_timeout: '5s' } },
      'session.statement_timeout: unknown key ("statementTimeout" is an input of its own, beside "session")',
    ],
    [{ table: 'x', lookback: '1 hour' }, 'lookback: unknown key (it belongs in "incremental")'],
    [
      { table: 'x', columns: [] },
      'columns: expected at least one column; leave it out to extract all of them',
    ],
    [{ table: 'x', exclude: [] }, 'exclude: expected at least one column'],
    [{ table: 'x', chunkSize: 64 }, 'chunkSize: expected a size such as "64MB"'],
    [{ table: 'x', statementTimeout: 5 }, 'statementTimeout: expected a duration such as "5 minutes"'],
    [{ table: 'x', statementTimeout: '30 days' }, 'statementTimeout: expected at most "24 days"'],
    [{ table: 'x', parallelism: '4' }, 'parallelism: invalid input: expected number, received string'],
    [{ table: 'x', parallelism: 0 }, 'parallelism: too small: expected number to be >=1'],
    [
      { table: 'x', consistency: 'eventual' },
      'consistency: invalid option: expected one of "snapshot"|"none"',
    ],
    [{ table: 'x', source: 'Shop EU' }, 'source: expected a source name such as "default" or "shop_eu"'],
    [{ table: 'x', where: '' }, 'where: expected an expression; leave it out to extract all rows'],
    [{ table: 5 }, 'table: expected "orders", "sales.orders" or'],
    [{}, 'table: is required: expected "orders", "sales.orders" or'],
    [undefined, 'input: is required'],
    [[], 'input: invalid input: expected object, received array'],
  ])('%j', (input, expected) => {
    expect(refusal(input)).toContain(expected);
  });

  test.each(['caught up', 60, '2024-01-01'])('all that "until" may say, where it is %j', (until) => {
    expect(refusal({ tables: ['a'], until }, captureChangesInput)).toContain(
      'until: expected "caught-up", or a duration such as "10 minutes"',
    );
  });

  test('all forms of an entry of "tables"', () => {
    expect(refusal({ tables: ['a', 5] }, extractDatabaseInput)).toContain(
      'tables.1: expected a table or a pattern such as "sales.orders"',
    );
  });

  test('everything at once, not only the first', () => {
    const message = refusal({ table: 5, chunkSize: '0MB', wehre: 'true' });
    expect(message).toMatch(/table: .*chunkSize: .*wehre: unknown key \(did you mean "where"\?\)/);
  });

  test('an unknown key has no suggestion where no key is near', () => {
    expect(refusal({ table: 'x', webhookUrl: 'y' })).not.toContain('did you mean');
  });

  test.each(['__proto__', 'constructor', 'toString'])('%s is an unknown key like any other', (key) => {
    const input: unknown = JSON.parse(`{"table": "x", "${key}": {"polluted": true}}`);
    expect(refusal(input)).toContain(`${key}: unknown key`);
  });

  test('a key in an object within an object, optional or with a default', () => {
    const inner = z.strictObject({ interval: z.string() });
    const schema = z.strictObject({ retry: inner.optional(), pause: inner.default({ interval: 'x' }) });
    expect(refusal({ retry: { intervall: 'x' } }, schema)).toContain(
      'retry.intervall: unknown key (did you mean "interval"?)',
    );
    expect(refusal({ pause: { intervall: 'x' } }, schema)).toContain(
      'pause.intervall: unknown key (did you mean "interval"?)',
    );
  });
});

test('an input that works is shown, and does work', () => {
  expect(refusal({})).toContain('An input that works: {"table":"sales.orders","parallelism":4}');
  expect(() => parseInput(extractTableInput, extractTableExample, extractTableExample)).not.toThrow();
});

test('the values of the input are not repeated, since a secret may have been put in the wrong place', () => {
  const secret = 'postgresql://me:hunter2@host/db';
  for (const key of [
    'source',
    'parallelism',
    'chunkSize',
    'statementTimeout',
    'consistency',
    'columns',
    'password',
  ]) {
    expect(refusal({ table: 'x', [key]: secret })).not.toContain('hunter2');
  }
});

test('the message stays short, however much is wrong', () => {
  const keys = Array.from({ length: 5000 }, (_, index) => [`unknown${index}`, 1]);
  const message = refusal({ table: 'x', ...Object.fromEntries(keys) });
  expect(message).toContain('and 4990 more');
  expect(message.length).toBeLessThan(1000);
  expect(refusal({ table: 'x', ['k'.repeat(1_000_000)]: 1 }).length).toBeLessThan(1000);
});

test.each([
  ['tables', { tables: Array.from({ length: 200_000 }, () => 5) }, extractDatabaseInput],
  ['tables', { tables: Array.from({ length: 200_000 }, () => ({ x: 1 })) }, captureChangesInput],
  [
    'tables.0.incremental.key',
    { tables: [{ incremental: { key: Array.from({ length: 20_001 }, () => 5) } }] },
    extractDatabaseInput,
  ],
])('%s: a list too long to check is refused at once, whatever it holds', (place, input, schema) => {
  const started = performance.now();
  expect(refusal(input, schema)).toContain(`refused. ${place}: expected at most 20000 entries. An input`);
  expect(performance.now() - started).toBeLessThan(10_000);
});

test('the smallest input has its defaults', () => {
  expect(parseInput(extractTableInput, { table: 'orders' }, extractTableExample)).toEqual({
    table: { schema: 'public', name: 'orders' },
    source: 'default',
    parallelism: 4,
    consistency: 'snapshot',
    lockTimeout: 60_000,
    stallTimeout: 600_000,
    verify: 'rows',
    largeObjectPartSize: 64 * 1024 * 1024,
    missingLargeObjects: 'null',
    requireAllRows: false,
  });
});

describe('suggestion', () => {
  test('finds a name that differs in case alone, as SQL folds it', () => {
    expect(suggestion('customerid', ['CUSTOMERID', 'customer'])).toBe(' (did you mean "CUSTOMERID"?)');
  });

  test('is silent where nothing is known or near', () => {
    expect(suggestion('total', [])).toBe('');
    expect(suggestion('total', ['shipped_at'])).toBe('');
  });
});
