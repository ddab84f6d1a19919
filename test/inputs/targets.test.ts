import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bookkeepingTables } from '../../src/bronze/layout.ts';
import { Lab } from '../setup/lab.ts';
import { Steps } from '../setup/steps.ts';
import { prepareOrders, refusal, ROW_VALUE } from './refusal.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await prepareOrders(lab);
  await lab.source
    .query(`CREATE TABLE other (id int); CREATE SCHEMA sales; CREATE TABLE sales.orders (id int);
    CREATE TABLE sales__orders (id int)`);
});
afterAll(async () => lab.close());

describe('a target that another table feeds', () => {
  test.each([
    [
      { table: 'other', target: 'br_orders' },
      'bronze.br_orders is fed by public.orders of source "default", not by public.other of source "default"',
    ],
    [
      { table: 'orders', source: 'second' },
      'bronze.br_orders is fed by public.orders of source "default", not by public.orders of source "second"',
    ],
  ])('%j', async (input, words) => {
    const message = await refusal(lab, input, 'TargetConflict');
    expect(message).toContain(words);
    expect(message).toContain('Choose another "target", or drop the bronze table first');
  });

  test('by a name that two tables share', async () => {
    await lab.extract({ table: 'sales.orders' });
    const message = await refusal(lab, { table: 'sales__orders' }, 'TargetConflict');
    expect(message).toContain('bronze.br_sales__orders is fed by sales.orders');
  });
});

test('a database of another name behind the same source is told, once', async () => {
  const elsewhere = new URL(lab.sourceUrl);
  elsewhere.hostname = 'localhost';
  for (const [source, told] of [
    [lab.sourceUrl, 0],
    [elsewhere.href, 1],
    [elsewhere.href, 0],
  ] as const) {
    await using steps = new Steps(lab, { source });
    const { warnings } = await steps.planAndFinish({ table: 'other' });
    expect(warnings.filter((warning) => warning.includes('If that is another database'))).toHaveLength(told);
  }
});

test('the tables that no run may write are all that the migrations make', async () => {
  await lab.extract({ table: 'sales.orders', target: 'migrated' });
  const { rows } = await lab.warehouse.query<{ name: string }>(
    `SELECT relname AS name FROM pg_class
      WHERE relnamespace = 'bronze'::regnamespace AND relkind = 'r' AND relname !~ '^(br_|migrated)'`,
  );
  const made = rows.map(({ name }) => name);
  expect(made.toSorted()).toEqual([...bookkeepingTables].toSorted());
});

testVariants(bookkeepingTables)('a target that holds records: %s', async (target) => {
  const message = await refusal(lab, { table: 'other', target }, 'InvalidInput');
  expect(message).toContain(`"target" names ${target}, where datakit-postgres keeps its own records`);
});

test.each(['bronze.orders', 'Bronze.orders', '"bronze".orders'])(
  'a target with the schema that it always has: %s',
  async (target) => {
    expect(await refusal(lab, { table: 'other', target }, 'InvalidInput')).toContain(
      '"target" is the name of a table without its schema, which is always bronze: write "orders"',
    );
  },
);

describe('a target that somebody else made', () => {
  test.each([
    ['a table', 'CREATE TABLE bronze.mine (id int)'],
    ['a partitioned table', 'CREATE TABLE bronze.mine (id int) PARTITION BY LIST (id)'],
    ['a view', 'CREATE VIEW bronze.mine AS SELECT 1 AS id'],
    ['an index', 'CREATE TABLE bronze.whose (id int); CREATE INDEX mine ON bronze.whose (id)'],
    ['a sequence', 'CREATE SEQUENCE bronze.mine'],
  ])('%s', async (_name, statement) => {
    await lab.warehouse.query(`BEGIN; ${statement}; COMMIT`);
    const message = await refusal(lab, { table: 'other', target: 'mine' }, 'TargetConflict');
    expect(message).toContain('bronze.mine exists and was not made by datakit-postgres');
    const kind = /CREATE (TABLE|VIEW|INDEX|SEQUENCE) (?:bronze\.)?mine/.exec(statement)?.[1];
    await lab.warehouse.query(`DROP ${kind} bronze.mine`);
  });
});

test('a partitioned table that somebody made in the place of ours keeps its partitions', async () => {
  const { table, bronze } = lab.nextTable();
  await lab.source.query(`CREATE TABLE ${table} (id int)`);
  await lab.extract({ table });
  await lab.warehouse.query(`DROP TABLE ${bronze}; CREATE TABLE ${bronze} (day date) PARTITION BY RANGE (day);
    CREATE TABLE bronze.own_partition PARTITION OF ${bronze} FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    INSERT INTO ${bronze} VALUES ('2024-02-03'); GRANT ALL ON ${bronze}, bronze.own_partition TO loader;
    ALTER TABLE ${bronze} OWNER TO loader; ALTER TABLE bronze.own_partition OWNER TO loader`);
  const message = await refusal(lab, { table }, 'TargetConflict');
  expect(message).toContain(`${bronze} exists and was not made by datakit-postgres`);
  expect((await lab.warehouse.query(`SELECT FROM ${bronze}`)).rowCount).toBe(1);
});

test('an event trigger that lets nobody make tables is told of, without its words', async () => {
  const { table } = lab.nextTable();
  await lab.source.query(`CREATE TABLE ${table} (id int)`);
  await lab.warehouse.query(`CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN IF session_user = 'loader' THEN RAISE 'not in ${ROW_VALUE}'; END IF; END $$;
    CREATE EVENT TRIGGER refusing ON ddl_command_start EXECUTE FUNCTION refuse()`);
  const message = await refusal(lab, { table }, 'InvalidValue');
  await lab.warehouse.query('DROP EVENT TRIGGER refusing');
  expect(message).toContain(
    'warehouse: a function raised an error (SQLSTATE P0001). A function that somebody',
  );
  expect(message).toContain('an event trigger');
  expect(message).not.toContain('"where"');
});

test('a target after which the rows are called as the staging table is', async () => {
  await lab.source.query('CREATE TABLE planned AS SELECT generate_series(1, 5000) AS id');
  for (const outcome of ['committed', 'committed']) {
    await using steps = new Steps(lab);
    const plan = await steps.load({ table: 'planned', target: 'plan', chunkSize: '64kB' });
    expect(await steps.commit(plan)).toMatchObject({ outcome, rows: 5000 });
  }
  expect((await lab.warehouse.query('SELECT FROM bronze.plan')).rowCount).toBe(5000);
});

test('a name too long for a target', async () => {
  expect(await refusal(lab, { table: 'other', target: 'é'.repeat(32) }, 'InvalidInput')).toContain(
    'at most 63 bytes',
  );
});
