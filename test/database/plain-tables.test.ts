import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findPlainTables, findUnchanged, type PlainTable } from '../../src/bronze/schema/plain-table.ts';
import { Database } from '../../src/postgres/database.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { Gate } from '../setup/gate.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { waitUntil } from '../setup/wait-until.ts';
import { testVariants } from '../setup/variants.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
  await lab.source.query('CREATE TABLE first_of_all AS SELECT 1 AS id');
  await lab.extract({ table: 'first_of_all' });
  // a table created in the staging schema means that a small table went the ordinary way
  await lab.warehouse.query(`CREATE TABLE public.staged (name text);
    CREATE FUNCTION public.note_staged() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
      INSERT INTO public.staged SELECT object_identity FROM pg_event_trigger_ddl_commands()
       WHERE command_tag = 'CREATE TABLE' AND schema_name = 'bronze_staging';
    END $$;
    CREATE EVENT TRIGGER note_staged ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.note_staged()`);
});
afterAll(async () => lab.close());

const tables = ['t1', 't2', 't3', 't4'];
const newShop = async (): Promise<void> => {
  await lab.source.query('DROP SCHEMA IF EXISTS shop CASCADE; CREATE SCHEMA shop');
  for (const [index, table] of tables.entries())
    await lab.source.query(`CREATE TABLE shop.${table} AS
      SELECT i AS id, md5(i::text) AS token, now() AS at FROM generate_series(1, ${4000 - 500 * index}) i`);
  await lab.warehouse.query(
    tables.map((table) => `DROP TABLE IF EXISTS bronze.br_shop__${table} CASCADE`).join('; '),
  );
  await lab.warehouse.query(`DELETE FROM bronze.extraction_targets WHERE source_schema = 'shop';
    DELETE FROM bronze.extraction_chunks`);
  await lab.warehouse.query('TRUNCATE public.staged');
};
const shop = async (): Promise<void> => {
  await newShop();
  await extractShop();
};
const extractShop = async () => lab.extractDatabase({ tables: ['shop.*'], parallelism: 1 });
const changeAll = async (): Promise<void> => {
  for (const table of tables)
    await lab.source.query(`DELETE FROM shop.${table} WHERE id % 7 = 0;
      UPDATE shop.${table} SET token = 'changed' WHERE id % 5 = 0; INSERT INTO shop.${table} VALUES (0, NULL, now())`);
};
const expectShop = async (): Promise<void> => {
  for (const table of tables) await expectSameRows(lab, `shop.${table}`, `bronze.br_shop__${table}`);
};
const staged = async (): Promise<number> => {
  const { rows } = await lab.warehouse.query<{ n: number }>('SELECT count(*)::int AS n FROM public.staged');
  return rows[0]?.n ?? Number.NaN;
};
const plansOf = async (): Promise<Map<string, string>> => {
  const { rows } = await lab.warehouse.query<{ name: string; plan: string }>(
    `SELECT source_table AS name, loaded_by_plan AS plan FROM bronze.extraction_targets WHERE source_schema = 'shop'`,
  );
  return new Map(rows.map(({ name, plan }) => [name, plan]));
};

describe('small tables that are new to bronze', () => {
  beforeEach(newShop);

  test('are created without a staging table, with the default privileges of the schema', async () => {
    await lab.warehouse.query(`CREATE ROLE newcomer;
      ALTER DEFAULT PRIVILEGES FOR ROLE loader IN SCHEMA bronze GRANT SELECT ON TABLES TO newcomer`);
    expect(await extractShop()).toMatchObject({ outcome: 'complete', committed: 4 });
    expect(await staged()).toBe(0);
    await expectShop();
    const { rows } = await lab.warehouse.query(
      `SELECT count(*)::int AS n FROM bronze.extraction_targets t
         JOIN bronze.extraction_runs r ON r.run_id = t.run_id AND r.plan_id = t.loaded_by_plan AND r.status = 'committed'
        WHERE t.source_schema = 'shop' AND has_table_privilege('newcomer', format('bronze.%I', t.target), 'SELECT')`,
    );
    expect(rows).toEqual([{ n: 4 }]);
    await changeAll();
    await extractShop();
    expect(await staged()).toBe(0);
    await expectShop();
    await lab.warehouse
      .query(`ALTER DEFAULT PRIVILEGES FOR ROLE loader IN SCHEMA bronze REVOKE SELECT ON TABLES FROM newcomer;
      DROP OWNED BY newcomer; DROP ROLE newcomer`);
  });

  test('go the ordinary way where somebody creates one meanwhile', async () => {
    const gate = await Gate.closed(lab);
    const handle = await lab.startDatabase({
      tables: ['shop.*', { table: 'shop.t1', where: 'gate(id = 2000)' }],
      parallelism: 1,
    });
    await gate.reached();
    await lab.extract({ table: 'shop.t3' });
    await lab.source.query(`UPDATE shop.t3 SET token = 'later'`);
    await lab.warehouse.query('CREATE TABLE bronze.br_shop__t4 (theirs int)');
    await gate.open();
    expect(await handle.result()).toMatchObject({
      outcome: 'partial',
      committed: 2,
      superseded: 1,
      failed: 1,
    });
    for (const table of ['t1', 't2']) await expectSameRows(lab, `shop.${table}`, `bronze.br_shop__${table}`);
    const { rows } = await lab.warehouse.query(
      'SELECT count(*)::int AS n, bool_and(_bronze_run_id LIKE $1) AS of_run FROM bronze.br_shop__t3',
      [`${handle.firstExecutionRunId}%`],
    );
    expect(rows).toEqual([{ n: 3000, of_run: false }]);
  });
});

describe('small tables that bronze has already', () => {
  beforeEach(shop);

  test('are exchanged without a staging table, and what hangs on them stays', async () => {
    await lab.warehouse.query(`CREATE ROLE shop_reader; GRANT SELECT ON bronze.br_shop__t1 TO shop_reader;
      COMMENT ON TABLE bronze.br_shop__t1 IS 'of the shop';
      CREATE VIEW public.shop_view AS SELECT count(*)::int AS n FROM bronze.br_shop__t1 WHERE token = 'changed'`);
    await changeAll();
    const handle = await lab.startDatabase({ tables: ['shop.*'], parallelism: 1 });
    const result = await handle.result();
    expect(await staged()).toBe(0);
    await expectShop();
    const { rows } = await lab.warehouse.query(
      `SELECT n, obj_description('bronze.br_shop__t1'::regclass) AS comment,
              has_table_privilege('shop_reader', 'bronze.br_shop__t1', 'SELECT') AS granted FROM public.shop_view`,
    );
    expect(rows).toEqual([{ n: 686, comment: 'of the shop', granted: true }]);
    // metadata is of this run, the same for all rows, and consistent with the ledger
    for (const table of tables) {
      const { rows: metadata } = await lab.warehouse.query(
        `SELECT b._bronze_schema AS schema, b._bronze_table AS name, b._bronze_extraction_type AS type,
                b._bronze_run_id = t.run_id AND b._bronze_source = r.source_uri AND r.status = 'committed'
                  AND b._bronze_loaded_at BETWEEN r.started_at AND r.finished_at AS agree,
                count(*)::int = r.rows AND r.rows = c.rows AND r.bytes = c.bytes AS counted,
                (SELECT count(*)::int FROM bronze.extraction_chunks o JOIN bronze.extraction_runs USING (plan_id)
                  WHERE target = t.target) AS ledgers
           FROM bronze.br_shop__${table} b, bronze.extraction_targets t
           JOIN bronze.extraction_runs r ON r.run_id = t.run_id AND r.plan_id = t.loaded_by_plan
           JOIN bronze.extraction_chunks c ON c.plan_id = r.plan_id
          WHERE t.target = 'br_shop__${table}' AND r.database_run_id = $1
          GROUP BY 1, 2, 3, 4, r.rows, r.bytes, c.rows, c.bytes, t.target`,
        [handle.firstExecutionRunId],
      );
      const agreed = { agree: true, counted: true, ledgers: 1 };
      expect(metadata).toEqual([{ schema: 'shop', name: table, type: 'full', ...agreed }]);
    }
    // no defaults, so that a row added to a partition by hand does not claim to be from the run
    const { rowCount: defaults } = await lab.warehouse.query(
      `SELECT FROM pg_attrdef d JOIN pg_class c ON c.oid = d.adrelid WHERE c.relname LIKE 'br\\_shop\\_\\_%'`,
    );
    expect(defaults).toBe(0);
    expect(result).toMatchObject({ outcome: 'complete', committed: 4, failed: 0 });
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('are read by the search path of the role where a policy relies on it', { tags: 'long' }, async () => {
    await lab.source.query(`CREATE FUNCTION allowed() RETURNS boolean LANGUAGE sql STABLE AS 'SELECT true';
      CREATE FUNCTION asks() RETURNS boolean LANGUAGE plpgsql STABLE AS 'BEGIN RETURN allowed(); END';
      ALTER TABLE shop.t2 ENABLE ROW LEVEL SECURITY; CREATE POLICY all_of_it ON shop.t2 USING (public.asks())`);
    await changeAll();
    await extractShop();
    expect(await staged()).toBe(0);
    await expectShop();
  });

  test(
    'go the ordinary way where something is to be made anew for their rows, which stays',
    { tags: 'long' },
    async () => {
      await lab.warehouse.query(`CREATE INDEX shop_token ON bronze.br_shop__t1 (token);
      ALTER TABLE bronze.br_shop__t2 ALTER id SET NOT NULL;
      ALTER TABLE bronze.br_shop__t3 ADD CONSTRAINT positive CHECK (id >= 0)`);
      await lab.source.query('ALTER TABLE shop.t4 ADD COLUMN added int DEFAULT 4');
      await changeAll();
      await extractShop();
      expect(await staged()).toBe(4);
      await expectShop();
      const { rows } = await lab.warehouse.query(
        `SELECT (SELECT count(*)::int FROM pg_index WHERE indrelid = 'bronze.br_shop__t1'::regclass AND indisvalid) AS indexes,
              (SELECT attnotnull FROM pg_attribute WHERE attrelid = 'bronze.br_shop__t2'::regclass AND attname = 'id') AS required,
              (SELECT count(*)::int FROM pg_constraint WHERE conname = 'positive') AS checks`,
      );
      expect(rows).toEqual([{ indexes: 1, required: true, checks: 2 }]);
    },
  );

  test('do not replace rows of a run that began later', { tags: 'long' }, async () => {
    await changeAll();
    const gate = await Gate.closed(lab);
    const handle = await lab.startDatabase({
      tables: ['shop.*', { table: 'shop.t1', where: 'gate(id = 2000)' }],
      parallelism: 1,
    });
    await gate.reached();
    // one table in progress, and the last one, which has not been looked at yet
    for (const later of ['t2', 't4']) {
      await lab.source.query(`UPDATE shop.${later} SET token = 'later'`);
      await lab.extract({ table: `shop.${later}` });
    }
    const before = await plansOf();
    await gate.open();
    expect(await handle.result()).toMatchObject({ outcome: 'complete', committed: 2, superseded: 2 });
    await expectShop();
    for (const later of ['t2', 't4']) expect((await plansOf()).get(later)).toBe(before.get(later));
  });

  testVariants([
    [
      'was rewritten',
      `CREATE TABLE shop.other AS SELECT id, token, at FROM shop.t3 WHERE id < 100;
      TRUNCATE shop.t3; INSERT INTO shop.t3 SELECT * FROM shop.other; DROP TABLE shop.other`,
    ],
    ['got other columns', `ALTER TABLE shop.t3 DROP token, ADD token text; UPDATE shop.t3 SET token = 'new'`],
    ['got a column of another type', 'ALTER TABLE shop.t3 ALTER at TYPE timestamptz(6)'],
  ])('are read anew where one %s between the snapshot and its turn', async ([, change]) => {
    await changeAll();
    const gate = await Gate.closed(lab);
    const handle = await lab.startDatabase({
      tables: ['shop.*', { table: 'shop.t1', where: 'gate(id = 2000)' }],
      parallelism: 1,
    });
    await gate.reached();
    await lab.source.query(change);
    await gate.open();
    const result = await handle.result();
    expect(result).toMatchObject({ outcome: 'complete', failed: 0 });
    expect(result.warnings.join()).toContain('shop.t3 is of a later moment');
    await expectShop();
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test('end with the one that they are at while their run is paused', { tags: 'long' }, async () => {
    await changeAll();
    const gate = await Gate.closed(lab);
    const handle = await lab.startDatabase({
      tables: ['shop.*', { table: 'shop.t2', where: 'gate(id = 2000)' }],
      parallelism: 1,
    });
    await gate.reached();
    await handle.signal('pause');
    await waitUntil(async () => {
      const { rowCount } = await lab.warehouse.query(
        `SELECT FROM bronze.extraction_database_runs WHERE paused`,
      );
      return rowCount === 1;
    });
    await gate.open();
    // what is committed is seen before the activity that did it ends
    await waitUntil(
      async () => (await handle.query<{ running: unknown[] }>('progress')).running.length === 0,
    );
    expect(await handle.query('progress')).toMatchObject({ phase: 'paused', committed: 2 });
    await handle.signal('resume');
    expect(await handle.result()).toMatchObject({ outcome: 'complete', committed: 4 });
    expect(await staged()).toBe(0);
    await expectShop();
  });

  testVariants([
    ['reads', 'SELECT FROM bronze.br_shop__t2'],
    ['writes', `SELECT pg_advisory_xact_lock(hashtextextended('bronze.br_shop__t2', 0))`],
  ])('are exchanged but for one that somebody %s, which the others do not wait for', async ([, use]) => {
    const other = await lab.connect('warehouse');
    await other.query(`BEGIN; ${use}`);
    await changeAll();
    const running = extractShop();
    const waitingWith = `SELECT FROM pg_locks waits JOIN pg_locks has USING (pid)
      WHERE NOT waits.granted AND has.granted AND has.mode = 'AccessExclusiveLock'
        AND has.relation = ANY (SELECT oid FROM pg_class WHERE relname IN ('br_shop__t1', 'br_shop__t3', 'br_shop__t4'))`;
    await waitUntil(async () => {
      expect((await lab.warehouse.query(waitingWith)).rowCount).toBe(0);
      return (await staged()) > 0;
    });
    for (const table of ['t1', 't3', 't4'])
      await expectSameRows(lab, `shop.${table}`, `bronze.br_shop__${table}`);
    expect(await staged()).toBe(1);
    await other.query('COMMIT');
    expect(await running).toMatchObject({ outcome: 'complete', committed: 4 });
    await expectShop();
  });

  test('are exchanged but for one whose rows are others when all are copied', { tags: 'long' }, async () => {
    await changeAll();
    // as another run would, once the storage of the table has been created
    await lab.warehouse
      .query(`CREATE FUNCTION public.come_between() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
      BEGIN
        UPDATE bronze.extraction_targets SET loaded_by_plan = loaded_by_plan - 1
         WHERE target = 'br_shop__t2' AND EXISTS (SELECT FROM pg_event_trigger_ddl_commands()
                                                   WHERE object_identity LIKE 'bronze_data.br_shop__t2%');
      END $$;
      CREATE EVENT TRIGGER come_between ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.come_between()`);
    await extractShop();
    await lab.warehouse.query('DROP EVENT TRIGGER come_between; DROP FUNCTION public.come_between()');
    expect(await staged()).toBe(1);
    await expectShop();
    expect(await lab.leftoversAtLast()).toEqual([]);
  });

  test(
    'wait for a reader whose snapshot is older, and show it no empty table',
    { tags: 'long' },
    async () => {
      const reader = await lab.connect('warehouse');
      await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
      await changeAll();
      const running = extractShop();
      await expect
        .poll(async () => (await lab.warehouse.query(`SELECT FROM public.staged`)).rowCount, {
          timeout: 20_000,
        })
        .toBeGreaterThan(0);
      const { rows } = await reader.query<{ n: number }>('SELECT count(*)::int AS n FROM bronze.br_shop__t1');
      expect(rows).toEqual([{ n: 4000 }]);
      await reader.query('COMMIT');
      expect(await running).toMatchObject({ outcome: 'complete', committed: 4 });
      await expectShop();
    },
  );

  test('are left alone by whoever finds that they are not as they were', async () => {
    const warehouse = new Database({ label: 'warehouse', settings: connectionTo(lab.warehouseUrl) });
    const limits = { run: 'test' };
    const target = 'br_shop__t1';
    const find = async () => warehouse.write(limits, async (session) => findPlainTables(session, [target]));
    const isUnchanged = async (found: PlainTable | undefined) =>
      warehouse.write(limits, async (session) => {
        if (found === undefined) throw new Error('the table is not plain');
        return (await findUnchanged(session, [found])).has(target);
      });
    const first = (await find()).get(target);
    expect(await isUnchanged(first)).toBe(true);
    const storage = `bronze_data."${first?.storage.name ?? ''}"`;
    await lab.warehouse.query(`CREATE INDEX own ON ${storage} (id)`);
    expect(await isUnchanged(first)).toBe(false);
    expect((await find()).size).toBe(0);
    await lab.warehouse.query('DROP INDEX bronze_data.own');
    // until then the catalog says that there may be one
    await lab.warehouse.query(`VACUUM ${storage}`);
    expect(await isUnchanged(first)).toBe(true);
    await lab.warehouse.query(
      `UPDATE bronze.extraction_targets SET loaded_by_plan = loaded_by_plan + 1 WHERE target = '${target}'`,
    );
    expect(await isUnchanged(first)).toBe(false);
    expect(await isUnchanged((await find()).get(target))).toBe(true);
    await lab.extract({ table: 'shop.t1' });
    expect(await isUnchanged(first)).toBe(false);
    await warehouse.close();
  });

  test('are left alone where a capture keeps them up to date, and only they', async () => {
    const warehouse = new Database({ label: 'warehouse', settings: connectionTo(lab.warehouseUrl) });
    await lab.warehouse.query(`WITH capture AS (
        INSERT INTO bronze.cdc_positions (source, slot, publication, own_publication, system_id, timeline, status, run_id, workflow_id)
        VALUES ('default', 'shop', 'shop', true, '1', 1, 'streaming', 'r', 'w') RETURNING capture_id)
      INSERT INTO bronze.cdc_tables (capture_id, schema, "table", target, status, mirrored)
      SELECT capture_id, 'shop', 't1', 'br_shop__t1', 'live', true FROM capture`);
    const found = await warehouse.write({ run: 'test' }, async (session) =>
      findPlainTables(session, ['br_shop__t1', 'br_shop__t2', 'br_shop__t9']),
    );
    expect([...found.keys()]).toEqual(['br_shop__t2']);
    await lab.warehouse.query('DELETE FROM bronze.cdc_tables; DELETE FROM bronze.cdc_positions');
    await warehouse.close();
  });
});
