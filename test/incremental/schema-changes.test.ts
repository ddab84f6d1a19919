import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ExtractTableRequest } from '../../src/contract/extract-table.ts';
import { expectFailure } from '../setup/expect-failure.ts';
import { checkpointsOf, extractIncrement, type IncrementalResult } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
let table: string;
let bronze: string;

beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

/** A table extracted before its columns change. */
beforeEach(async () => {
  ({ table, bronze } = lab.nextTable());
  await lab.source
    .query(`CREATE TABLE ${table} (id int PRIMARY KEY, name varchar(10), n int, amount numeric(6,2), at timestamptz);
    INSERT INTO ${table} SELECT i, 'name ' || i, i, i / 100.0, timestamptz '2024-01-01' + i * interval '1 minute' FROM generate_series(1, 50) i`);
  await run();
});

const run = async (more: Partial<ExtractTableRequest> = {}): Promise<IncrementalResult> =>
  extractIncrement(lab, { table, currentView: true, write: 'merge', incremental: { column: 'at' }, ...more });

const change = async (statements: string): Promise<unknown> =>
  lab.source.query(`${statements}; UPDATE ${table} SET at = '2024-02-01' WHERE id <= 5`);

async function typeOf(column: string): Promise<unknown> {
  const { rows } = await lab.warehouse.query(
    `SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute WHERE attrelid = $1::regclass AND attname = $2`,
    [bronze, column],
  );
  return rows[0]?.type;
}

async function manifestChanges(runId: string): Promise<unknown> {
  const { rows } = await lab.warehouse.query(
    'SELECT schema_changes FROM bronze.extraction_runs WHERE run_id = $1',
    [runId],
  );
  return rows[0]?.schema_changes;
}

test(
  'the view of the newest versions is replaced where it must be other, and keeps its readers out of no other run',
  { tags: 'long' },
  async () => {
    const version = async () => {
      const { rows } = await lab.warehouse.query<{ version: string }>(
        `SELECT xmin AS version FROM pg_rewrite WHERE ev_class = '${bronze}_current'::regclass`,
      );
      return rows[0]?.version;
    };
    const first = await version();
    await change('SELECT 1');
    await run();
    expect(await version()).toBe(first);
    await run({ detectDeletes: true });
    const second = await version();
    expect(second).not.toBe(first);
    await run({ detectDeletes: true });
    expect(await version()).toBe(second);
    await expectSameRows(lab, table, `${bronze}_current`);
  },
);

/** What people gave the view of the newest versions, and one of its columns. */
const givenToView = async () => {
  const { rows } = await lab.warehouse.query(
    `SELECT reloptions AS options, has_column_privilege('public', c.oid, 'id', 'SELECT') AS granted,
            has_table_privilege('public', c.oid, 'SELECT') AS all_granted, col_description(c.oid, 1) AS comment
       FROM pg_class c WHERE oid = '${bronze}_current'::regclass`,
  );
  return rows[0] as unknown;
};

testVariants([
  ['a column comes', 'ADD late text', {}],
  ['a column is widened', 'ALTER n TYPE bigint', {}],
  ['everything is read anew with another type', 'ALTER n TYPE text', { resetCheckpoint: true }],
])('the view of the newest versions keeps options, grants and comments when %s', async ([, alter, more]) => {
  await lab.warehouse.query(`ALTER VIEW ${bronze}_current SET (security_invoker, security_barrier = false);
    GRANT SELECT (id) ON ${bronze}_current TO PUBLIC; COMMENT ON COLUMN ${bronze}_current.id IS 'it''s the key'`);
  const given = {
    options: ['security_invoker=true', 'security_barrier=false'],
    granted: true,
    all_granted: false,
    comment: "it's the key",
  };
  expect(await givenToView()).toEqual(given);
  await change(`ALTER TABLE ${table} ${alter}`);
  await run(more);
  await expectSameRows(lab, table, `${bronze}_current`);
  expect(await givenToView()).toEqual(given);
});

testVariants([
  ['as it was', 'SELECT 1'],
  ['without some columns', 'ALTER TABLE % DROP n'],
])('the view of the newest versions leaves a table that was renamed for the next one, %s', async ([, alter]) => {
  await lab.warehouse.query(`ALTER VIEW ${bronze}_current SET (security_barrier = true);
    GRANT SELECT (id, n) ON ${bronze}_current TO PUBLIC; COMMENT ON COLUMN ${bronze}_current.id IS 'it''s the key';
    ALTER TABLE ${bronze} RENAME TO old_${table}`);
  await change(`${alter.replace('%', table)}; UPDATE ${table} SET name = 'new' WHERE id = 1`);
  for (let times = 1; times <= 2; times += 1) {
    await run();
    await expectSameRows(lab, table, `${bronze}_current`);
  }
  expect(await givenToView()).toEqual({
    options: ['security_barrier=true'],
    granted: true,
    all_granted: false,
    comment: "it's the key",
  });
}); // prettier-ignore

describe('with "evolve"', () => {
  test('a column that was added is added, NULL in the rows before', async () => {
    await change(`ALTER TABLE ${table} ADD late text; UPDATE ${table} SET late = 'x' WHERE id <= 5`);
    const result = await run();
    const added = [{ column: 'late', change: 'added', from: null, to: 'text' }];
    expect(result.incremental.schemaChanges).toEqual(added);
    expect(await manifestChanges(result.runId)).toEqual(added);
    await expectSameRows(lab, table, bronze);
    await expectSameRows(lab, table, `${bronze}_current`);
    expect((await run()).incremental.schemaChanges).toEqual([]);
  });

  test('a column that was dropped stays, and is NULL from then on', async () => {
    await change(`ALTER TABLE ${table} DROP name`);
    const result = await run();
    expect(result.incremental.schemaChanges).toEqual([
      { column: 'name', change: 'dropped', from: 'character varying(10)', to: null },
    ]);
    const { rows } = await lab.warehouse.query(
      `SELECT count(name)::int AS names, count(*)::int AS rows FROM ${bronze}`,
    );
    expect(rows).toEqual([{ names: 45, rows: 50 }]);
    await lab.source.query(`INSERT INTO ${table} VALUES (51, 1, 1, '2024-02-02')`);
    expect((await run()).incremental).toMatchObject({ schemaChanges: [], added: 1 });
    await expectSameRows(lab, table, bronze);
  });

  test('a column that was renamed is one dropped and one added', async () => {
    await change(`ALTER TABLE ${table} RENAME n TO m`);
    const { incremental } = await run({ incremental: { column: 'at', lookback: 0 } });
    expect(incremental.schemaChanges.map(({ column, change: what }) => `${column} ${what}`)).toEqual([
      'm added',
      'n dropped',
    ]);
    const { rows } = await lab.warehouse.query(
      `SELECT count(m)::int AS m, count(n)::int AS n FROM ${bronze}`,
    );
    expect(rows).toEqual([{ m: 6, n: 44 }]);
  });

  testVariants([
    {
      to: 'larger ones of their kind',
      widened: [
        { column: 'n', to: 'bigint', value: '9223372036854775807' },
        { column: 'name', to: 'varchar(20)', value: `'name that is longer'` },
        { column: 'amount', to: 'numeric(12,4)', value: '12345678.1234' },
      ],
    },
    {
      to: 'types without a limit',
      widened: [
        { column: 'n', to: 'numeric', value: '1e50' },
        { column: 'name', to: 'text', value: `repeat('x', 1000)` },
        { column: 'amount', to: 'numeric', value: '0.123456789' },
      ],
    },
  ])('integers, varchars and numerics that became $to are widened, with their rows', async ({ widened }) => {
    await lab.warehouse.query(`GRANT SELECT ON ${bronze}_current TO PUBLIC`);
    await change(
      widened
        .map(
          ({ column, to, value }) =>
            `ALTER TABLE ${table} ALTER ${column} TYPE ${to}; UPDATE ${table} SET ${column} = ${value} WHERE id = 1`,
        )
        .join('; '),
    );
    const { incremental } = await run();
    expect(incremental.replaced).toBe(5);
    expect(incremental.schemaChanges).toHaveLength(widened.length);
    for (const { column } of widened) {
      expect(incremental.schemaChanges).toContainEqual(
        expect.objectContaining({ column, change: 'widened' }),
      );
      await expectSameRows(lab, table, bronze, { columns: ['id', column] });
    }
    const { rows } = await lab.warehouse.query(
      `SELECT has_table_privilege('public', '${bronze}_current', 'SELECT') AS granted, count(*)::int FROM ${bronze}_current`,
    );
    expect(rows).toEqual([{ granted: true, count: 50 }]);
  });

  test('a type that was narrowed stays as wide as it was', async () => {
    await change(`ALTER TABLE ${table} ALTER n TYPE smallint`);
    const { incremental } = await run();
    expect(incremental.schemaChanges).toEqual([
      { column: 'n', change: 'narrowed', from: 'integer', to: 'smallint' },
    ]);
    expect(await typeOf('n')).toBe('integer');
    await expectSameRows(lab, table, bronze);
  });

  test(
    'a number that was narrowed to an integer goes on from a checkpoint with a fraction',
    { tags: 'long' },
    async () => {
      const target = `by_amount_${table}`;
      await lab.source.query(`ALTER TABLE ${table} ALTER amount TYPE numeric`);
      const byAmount = async () =>
        extractIncrement(lab, {
          table,
          target,
          columns: ['id', 'amount'],
          incremental: { column: 'amount' },
        });
      expect((await byAmount()).incremental.checkpoint).toBe('0.50');
      await lab.source.query(
        `ALTER TABLE ${table} ALTER amount TYPE bigint USING 0; INSERT INTO ${table} VALUES (51, 'new', 51, 1)`,
      );
      expect((await byAmount()).incremental).toMatchObject({ readFrom: '1', added: 1, checkpoint: '1' });
      expect((await byAmount()).incremental).toMatchObject({ added: 0, unchanged: 1 });
    },
  );

  test('a type that fits in neither direction fails, names the column and the ways out, and changes nothing', async () => {
    await change(`ALTER TABLE ${table} ALTER n TYPE text`);
    await expectFailure(run(), 'SchemaChanged', /"n" is text .* integer in bronze.*exclude.*resetCheckpoint/s); // prettier-ignore
    expect(await checkpointsOf(lab, `br_${table}`)).toHaveLength(1);
    expect(await lab.leftoversAtLast()).toEqual([]);
    expect((await run({ exclude: ['n'] })).incremental.replaced).toBe(5);
    await run({ resetCheckpoint: true });
    expect(await typeOf('n')).toBe('text');
    await expectSameRows(lab, table, bronze);
    await expectSameRows(lab, table, `${bronze}_current`);
  });
});

test(
  'with "freeze" columns that were added, dropped, widened or narrowed are refused, each of them',
  { tags: 'long' },
  async () => {
    await run({ schemaChanges: 'freeze' });
    for (const [word, alter] of [
      ['added', 'ADD late text'],
      ['dropped', 'DROP name'],
      ['widened', 'ALTER n TYPE bigint'],
      ['narrowed', 'ALTER n TYPE smallint'],
    ] as const) {
      await change(`ALTER TABLE ${table} ${alter}`);
      await expectFailure(run({ schemaChanges: 'freeze' }), 'SchemaChanged', word);
      expect((await run()).incremental.schemaChanges).toHaveLength(1);
      expect((await run({ schemaChanges: 'freeze' })).incremental.schemaChanges).toEqual([]);
    }
  },
);

test('what people made that depends on a column that must be widened is named', async () => {
  await lab.warehouse.query(`CREATE VIEW mine_${table} AS SELECT n FROM ${bronze}`);
  await change(`ALTER TABLE ${table} ALTER n TYPE bigint`);
  await expectFailure(run(), 'SchemaConflict', RegExp(`view \\S*mine_${table} depends on column "?n`));
});

/** A type with a modifier, like `geometry(Point,4326)`; no extension that comes with PostgreSQL has one. */
const CODE = `CREATE TYPE code;
  CREATE FUNCTION code_in(cstring, oid, int) RETURNS code LANGUAGE internal IMMUTABLE STRICT AS 'varcharin';
  CREATE FUNCTION code_out(code) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'varcharout';
  CREATE TYPE code (INPUT = code_in, OUTPUT = code_out, LIKE = pg_catalog.varchar,
                    TYPMOD_IN = varchartypmodin, TYPMOD_OUT = varchartypmodout);
  ALTER EXTENSION citext ADD TYPE code`;

test('types of extensions do not look like a change, in whatever schema the warehouse has them', async () => {
  await lab.source.query(`CREATE EXTENSION citext; CREATE EXTENSION hstore; ${CODE}`);
  await lab.warehouse.query(`CREATE EXTENSION citext; ${CODE};
    CREATE SCHEMA "Ex tensions"; CREATE EXTENSION hstore SCHEMA "Ex tensions"; GRANT USAGE ON SCHEMA "Ex tensions" TO loader`);
  await lab.source.query(`ALTER TABLE ${table} ADD c citext, ADD cs citext[], ADD h hstore, ADD k code(5), ADD ks code(5)[]`);
  await change(`UPDATE ${table} SET c = 'Ä', cs = '{a,NULL}', h = 'a=>1', k = 'abc', ks = '{abc}' WHERE id <= 3`);
  expect((await run()).incremental.schemaChanges.map(({ to }) => to)).toEqual(
    ['public.citext', 'public.citext[]', '"Ex tensions".hstore', 'public.code(5)', 'public.code(5)[]'],
  );
  await change(`UPDATE ${table} SET c = 'B', k = 'abcde' WHERE id = 1`);
  expect((await run({ schemaChanges: 'freeze' })).incremental).toMatchObject({ schemaChanges: [], replaced: 1 });
  await expectSameRows(lab, table, bronze);
}); // prettier-ignore
