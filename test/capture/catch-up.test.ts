import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Mirror } from '../../src/bronze/cdc/mirror.ts';
import { migrate } from '../../src/bronze/migrate.ts';
import { catchUp } from '../../src/capture/catch-up.ts';
import { Database } from '../../src/postgres/database.ts';
import { connectionTo, poolOf } from '../setup/connection-to.ts';
import { Lab } from '../setup/lab.ts';

const CHANGES = 20_000;

let lab: Lab;
let warehouse: Database;
beforeAll(async () => {
  lab = await Lab.open({ workers: 'none' });
  warehouse = new Database({ label: 'warehouse', settings: connectionTo(lab.warehouseUrl, poolOf(1)) });
  await migrate(warehouse);
});
afterAll(async () => {
  await warehouse.close();
  await lab.close();
});

test('a log without statistics is read once, however many pages of it are applied', async () => {
  await lab.warehouse.query(
    `CREATE TABLE bronze.copy (id int PRIMARY KEY, v text); GRANT ALL ON bronze.copy TO loader;
     INSERT INTO bronze.cdc_changes (capture_id, commit_lsn, ordinal, lsn, operation, slot, schema, "table", data)
     SELECT 1, '1/0'::pg_lsn + i / 100, i, '1/0', 'INSERT', 'slot', 'public', CASE i % 2 WHEN 0 THEN 'late' ELSE 'base' END,
            jsonb_build_object('id', i, 'v', 'row ' || i) FROM generate_series(1, ${2 * CHANGES}) i`,
  );
  const storage = { schema: 'bronze', name: 'copy' };
  const columns = ['id', 'v'];
  const read = await warehouse.write({}, async (session) => {
    await catchUp(
      session,
      '1',
      {
        schema: 'public',
        name: 'late',
        target: 'copy',
        status: 'copying',
        mirrored: true,
        key: ['id'],
        copiedAt: '0/0',
        logFrom: null,
        addedAt: null,
        catalog: null,
        runId: null,
        membership: null,
        columns: columns.map((name) => ({ name, typeOid: 25, modifier: -1, number: 0 })),
      },
      {
        bronze: { name: 'copy', storage } as unknown as Mirror['bronze'],
        storage,
        types: new Map([
          ['id', 'integer'],
          ['v', 'text'],
        ]),
        key: ['id'],
        deletes: 'hard',
        constants: new Map(),
      },
      async () => undefined,
    );
    return session.one<{ rows: string }>(
      `SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) AS rows
         FROM pg_catalog.pg_stat_xact_all_tables WHERE relid = 'bronze.cdc_changes'::regclass`,
    );
  });
  const { rows } = await lab.warehouse.query(
    `SELECT count(*)::int AS rows, count(*) FILTER (WHERE v = 'row ' || id)::int AS same FROM bronze.copy`,
  );
  expect(rows).toEqual([{ rows: CHANGES, same: CHANGES }]);
  // the whole for the first page, which finds whether there are any, and then once more in pages
  expect(Number(read.rows)).toBeLessThan(2.1 * 2 * CHANGES);
});
