import { describe, expect, test } from 'vitest';
import type { ExtractionPlan, PlannedColumn, PlannedPartition } from '../../src/bronze/plan.ts';
import { copyIn, copyOut } from '../../src/extraction/copy/copy-statements.ts';

const column = (name: string, other: Partial<PlannedColumn> = {}): PlannedColumn => {
  return {
    name,
    sourceType: 'integer',
    type: 'integer',
    decision: 'kept',
    read: 'as is',
    binary: true,
    ...other,
  };
};
const partition: PlannedPartition = {
  schema: 'sales',
  name: 'orders_2026',
  oid: 1,
  fileNode: 1,
  blocks: 9,
  chunks: 3,
};

const plan: ExtractionPlan = {
  source: 'default',
  sourceUri: 'postgresql://host/database',
  table: { schema: 'sales', name: 'orders' },
  target: 'br_sales__orders',
  columns: [column('id')],
  where: null,
  format: 'binary',
  size: 0,
  blocksPerChunk: 3,
  partitions: [partition],
  tree: '',
  seenAt: '2026-01-01',
  reading: '',
  lockTimeout: 60_000,
  statementTimeout: null,
  stallTimeout: 600_000,
  warnings: [],
};

describe('copyOut', () => {
  test('reads a whole partition by the name of its table, its children left out, in no range', () => {
    expect(copyOut(plan, { partition, fromBlock: 0, whole: true })).toBe(
      'COPY (SELECT "id" FROM ONLY "sales"."orders_2026" AS "orders") TO STDOUT (FORMAT binary)',
    );
  });

  test('reads a range from its first block to the one before the next range', () => {
    expect(copyOut(plan, { partition, fromBlock: 3, toBlock: 6, whole: false })).toContain(
      ` WHERE ctid >= '(3,0)'::tid AND ctid < '(6,0)'::tid) TO STDOUT`,
    );
  });

  test('reads the last range to the end, wherever that is by then', () => {
    expect(copyOut(plan, { partition, fromBlock: 6, whole: false })).toContain(
      ` WHERE ctid >= '(6,0)'::tid) TO STDOUT`,
    );
  });

  test('has the condition in parentheses of its own, so that an OR in it widens nothing', () => {
    const where = 'a OR b';
    expect(copyOut({ ...plan, where }, { partition, fromBlock: 6, whole: false })).toContain(
      `WHERE ctid >= '(6,0)'::tid AND (a OR b)) TO`,
    );
    expect(copyOut({ ...plan, where }, { partition, fromBlock: 0, whole: true })).toContain(
      'WHERE (a OR b)) TO',
    );
  });

  test('reads each column as its mapping says', () => {
    const columns = [
      column('a'),
      column('b', { read: 'cast', type: 'text[]' }),
      column('c', { read: 'to_jsonb', type: 'jsonb' }),
    ];
    expect(copyOut({ ...plan, columns }, { partition, fromBlock: 0, whole: true })).toContain(
      'SELECT "a", "b"::text[], pg_catalog.to_jsonb("c") FROM',
    );
  });
});

describe('copyIn', () => {
  test('names its columns, so that their order in the table is of no matter', () => {
    const columns = [column('b'), column('a')];
    expect(copyIn({ ...plan, columns, format: 'text' }, { schema: 'bronze_staging', name: 'plan_1' })).toBe(
      'COPY "bronze_staging"."plan_1" ("b", "a") FROM STDIN (FORMAT text)',
    );
  });

  test('of a table that has no columns names none', () => {
    const staging = { schema: 'bronze_staging', name: 'plan_1' };
    expect(copyIn({ ...plan, columns: [] }, staging)).toBe(
      'COPY "bronze_staging"."plan_1" FROM STDIN (FORMAT binary)',
    );
  });
});

describe('a name can end nothing', () => {
  test.each([
    ['a"b', '"a""b"'],
    ['"); DROP TABLE x; --', '"""); DROP TABLE x; --"'],
    ['a.b', '"a.b"'],
    ['select', '"select"'],
    ['100%', '"100%"'],
    ['$1', '"$1"'],
    ["it's \\ odd", '"it\'s \\ odd"'],
  ])('%s', (name, quoted) => {
    const odd = { ...partition, schema: name, name };
    const named = { ...plan, columns: [column(name)], table: { schema: name, name } };
    expect(copyOut(named, { partition: odd, fromBlock: 0, whole: true })).toBe(
      `COPY (SELECT ${quoted} FROM ONLY ${quoted}.${quoted} AS ${quoted}) TO STDOUT (FORMAT binary)`,
    );
    expect(copyIn(named, odd)).toBe(`COPY ${quoted}.${quoted} (${quoted}) FROM STDIN (FORMAT binary)`);
  });
});
