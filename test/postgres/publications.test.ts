import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { Database } from '../../src/postgres/database.ts';
import { findPublication } from '../../src/postgres/replication/publications.ts';
import type { Session } from '../../src/postgres/session.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { withDatabase } from '../setup/lab.ts';

const NAME = `published_${process.pid}`;
const url = withDatabase(inject('sourceAdmin'), NAME);
const drop = async () => administer(inject('sourceAdmin'), [`DROP DATABASE IF EXISTS ${NAME} WITH (FORCE)`]);

beforeAll(async () => {
  await drop();
  await administer(inject('sourceAdmin'), [`CREATE DATABASE ${NAME}`]);
  await administer(url, [
    `DO $$ BEGIN FOR n IN 1..200 LOOP EXECUTE format('CREATE TABLE t%s (id int, v text)', n); END LOOP; END $$`,
    'CREATE PUBLICATION everything FOR ALL TABLES',
  ]);
});
afterAll(drop);

/** Counts what this transaction has read of the columns of tables. */
async function columnsRead(session: Session): Promise<number> {
  const { read } = await session.one<{ read: number }>(
    `SELECT (seq_tup_read + idx_tup_fetch)::int AS read FROM pg_catalog.pg_stat_xact_all_tables
      WHERE relid = 'pg_catalog.pg_attribute'::regclass`,
  );
  return read;
}

test('one table of a publication is described without reading the columns of all others', async () => {
  const source = new Database({ label: 'source', settings: connectionTo(url) });
  await source.read({}, async (session) => {
    const all = await findPublication(session, 'everything');
    expect(all?.tables).toHaveLength(200);
    const before = await columnsRead(session);
    const table = all?.tables.at(7);
    expect(await findPublication(session, 'everything', [table?.oid ?? 0])).toEqual({
      ...all,
      tables: [table],
    });
    expect((await columnsRead(session)) - before).toBeLessThan(100);
  });
  await source.close();
});
