import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FailureKind } from '../../src/contract/failures.ts';
import type * as workflows from '../../src/workflows/index.ts';
import { Lab } from '../setup/lab.ts';
import { prepareOrders, refusal } from './refusal.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await prepareOrders(lab);
  await lab.source.query(`CREATE SCHEMA sales; CREATE TABLE sales.invoices (id int);
    CREATE SEQUENCE numbers; CREATE INDEX orders_by_total ON orders (total);
    CREATE TABLE with_metadata (id int, _bronze_run_id text); INSERT INTO with_metadata VALUES (1, 'kept')`);
});
afterAll(async () => lab.close());

test.each<[string, object, FailureKind, string]>([
  [
    'an unknown table',
    { table: 'ordres' },
    'UndefinedObject',
    'There is no table public.ordres in the source (did you mean "public.orders"?)',
  ],
  ['a table of another schema', { table: 'invoices' }, 'UndefinedObject', '(did you mean "sales.invoices"?)'],
  ['a pattern', { table: 'public.*' }, 'UndefinedObject', 'are for "extractDatabase"'],
  ['a table in another case', { table: 'ORDERS' }, 'UndefinedObject', '(did you mean "public.orders"?)'],
  ['an unknown schema', { table: 'nowhere.orders' }, 'UndefinedObject', '(did you mean "public.orders"?)'],
  ['a sequence', { table: 'numbers' }, 'UnsupportedTable', 'public.numbers is a sequence'],
  ['an index', { table: 'orders_by_total' }, 'UnsupportedTable', 'public.orders_by_total is an index'],
  [
    'an unknown column',
    { table: 'orders', columns: ['id', 'totals'] },
    'UndefinedObject',
    'has no column "totals" (did you mean "total"?)',
  ],
  [
    'an unknown column in exclude',
    { table: 'orders', exclude: ['odd name'] },
    'UndefinedObject',
    '(did you mean "Odd Name"?)',
  ],
  [
    'a column twice',
    { table: 'orders', columns: ['id', 'id'] },
    'InvalidInput',
    '"columns" names "id" twice',
  ],
  [
    'all columns excluded',
    { table: 'orders', columns: ['id'], exclude: ['id'] },
    'InvalidInput',
    '"exclude" leaves no column',
  ],
  [
    'an unknown source',
    { table: 'orders', source: 'shop_eu' },
    'UnknownSource',
    'no source "shop_eu" (SOURCE_SHOP_EU_DATABASE_URL is not set); it has "default", "second"',
  ],
  [
    'a column that is called like a metadata column',
    { table: 'with_metadata' },
    'InvalidInput',
    'leave it out with "exclude"',
  ],
])('%s', async (_name, input, kind, words) => {
  expect(await refusal(lab, input, kind)).toContain(words);
});

test('a column that is called like a metadata column can be left out', async () => {
  expect(await lab.extract({ table: 'with_metadata', exclude: ['_bronze_run_id'] })).toMatchObject({
    rows: 1,
  });
});

test('names that are longer in UTF-8 than a name can be are not cut', { tags: 'long' }, async () => {
  await using latin = await Lab.open({ sourceOptions: `TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'` });
  const long = 'é'.repeat(40);
  await latin.source.query(`CREATE TABLE wide (id int PRIMARY KEY, "${long}" text, "${long}s" text);
    INSERT INTO wide VALUES (1, 'a', 'b'); CREATE TABLE "${long}" (id int)`);
  const refused = (text: string) => ({
    cause: { type: 'UnsupportedTable', message: expect.stringContaining(text) as string },
  });
  await expect(latin.extract({ table: 'wide' })).rejects.toMatchObject(refused(`: ${long}, ${long}s. Name`));
  await expect(latin.extractDatabase({ tables: ['public.*'] })).rejects.toMatchObject(
    refused(`: public.${long}. Leave`),
  );
  const tables = ['public.*', '!public.é*', { table: 'wide', columns: ['id'] }];
  expect(await latin.extractDatabase({ tables })).toMatchObject({ outcome: 'complete', rows: 1 });
});

test(
  'names with bytes that are no characters keep nobody from extracting the others',
  { tags: 'long' },
  async () => {
    const sourceOptions = `TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'`;
    await using ascii = await Lab.open({ sourceOptions });
    const inLatin1 = `'stra' || chr(223) || 'e'`;
    await ascii.source
      .query(`CREATE TABLE "stra\u00dfe" AS SELECT 1 AS id; CREATE TABLE streets AS SELECT 2 AS id;
    DO $$ BEGIN EXECUTE format('CREATE TABLE %I AS SELECT 3 AS id', ${inLatin1});
      EXECUTE format('CREATE SCHEMA %I', ${inLatin1}); EXECUTE format('CREATE TABLE %I.nowhere (id int)', ${inLatin1}); END $$`);
    await expect(ascii.extractDatabase({ tables: ['*.*'] })).rejects.toMatchObject({
      cause: {
        type: 'UnsupportedTable',
        message: expect.stringMatching(/written as .nnn: (public\.stra.337e|stra.337e\.nowhere), /) as string,
      },
    });
    expect(await ascii.extractDatabase({ tables: ['public.*', '!public.stra\\*'] })).toMatchObject({
      outcome: 'complete',
      tables: 2,
      rows: 2,
    });
    const { findings } = await ascii.temporal.workflow.execute<typeof workflows.checkSource>('checkSource', {
      taskQueue: ascii.taskQueue,
      workflowId: `check-${ascii.taskQueue}`,
      args: [{}],
    });
    expect(findings).toContainEqual(expect.objectContaining({ check: 'names of tables', state: 'warning' }));
  },
);
