import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { PostgresServer } from '../../local/postgres.ts';
import { Database } from '../../src/postgres/database.ts';
import { hasPreparedWriters } from '../../src/postgres/oldest-transaction.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { createRoles } from '../setup/roles.ts';
import { extractIncrement } from '../setup/incremental.ts';
import { Lab } from '../setup/lab.ts';
import { expectSameRows } from '../setup/same-rows.ts';
import { startTestServer } from '../setup/test-server.ts';
import { testVariants } from '../setup/variants.ts';

let server: PostgresServer;
let lab: Lab;

beforeAll(async () => {
  server = await startTestServer({ settings: { max_prepared_transactions: '5' } });
  await createRoles(server, server);
  lab = await Lab.open({
    servers: { source: server.url('postgres'), warehouse: inject('warehouseAdmin') },
  });
});
afterAll(async () => {
  await lab.close();
  await server.dispose();
});

test(
  'a prepared transaction of another database counts only there, even if its tables have the same OIDs',
  { tags: 'long' },
  async () => {
    await administer(server.url('postgres'), ['CREATE DATABASE one']);
    await administer(server.url('one'), ['CREATE TABLE orders (id int)']);
    await administer(server.url('postgres'), ['CREATE DATABASE twin TEMPLATE one']);
    await administer(server.url('one'), [`BEGIN; INSERT INTO orders VALUES (1); PREPARE TRANSACTION 'open'`]);
    const found: Record<string, boolean> = {};
    for (const database of ['one', 'twin']) {
      const opened = new Database({ label: database, settings: connectionTo(server.url(database)) });
      found[database] = await opened.read({ run: 'test' }, async (session) => {
        const { oid } = await session.one<{ oid: number }>(`SELECT 'public.orders'::regclass::oid AS oid`);
        return hasPreparedWriters(session, [oid]);
      });
      await opened.close();
    }
    expect(found).toEqual({ one: true, twin: false });
    await administer(server.url('one'), [`ROLLBACK PREPARED 'open'`]);
  },
);

testVariants([
  { reads: 'by time', table: 'byTime', column: 'at' },
  { reads: 'by id', table: 'byId', column: 'id' },
  { reads: 'by time, through a view', table: 'beneath', column: 'at', view: 'above' },
])(
  'a prepared transaction that wrote to a table that is read $reads holds the checkpoint, until it has ended',
  async ({ table, column, view }) => {
    // prettier-ignore
    const request = { table: view ?? table, target: `br_${table}`, key: ['id'], incremental: { column, lookback: 0 } };
    await lab.source
      .query(`CREATE TABLE "${table}" (id bigserial PRIMARY KEY, at timestamptz DEFAULT now(), v int);
      ${view === undefined ? '' : `CREATE VIEW ${view} AS SELECT * FROM "${table}";`}
      INSERT INTO "${table}" (at) SELECT now() - i * interval '1 hour' FROM generate_series(1, 10) i`);
    const { checkpoint } = (await extractIncrement(lab, request)).incremental;
    const late = await lab.connect('source');
    await late.query(`BEGIN; INSERT INTO "${table}" (v) VALUES (1); PREPARE TRANSACTION 'late'`);
    await lab.source.query(`SELECT pg_sleep(1.1)`);
    await lab.source.query(`INSERT INTO "${table}" (v) VALUES (2)`);
    for (const added of [1, 0]) {
      expect((await extractIncrement(lab, request)).incremental).toMatchObject({
        added,
        checkpoint,
        protection: 'oldest transaction',
      });
    }
    await lab.source.query(`COMMIT PREPARED 'late'`);
    expect((await extractIncrement(lab, request)).incremental.added).toBe(1);
    await expectSameRows(lab, table, `bronze."br_${table}"`);
  },
);
