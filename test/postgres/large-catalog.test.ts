import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { readCatalogEntry, readLiveTable } from '../../src/capture/live-table.ts';
import { findRedefined, readViewDefinition } from '../../src/postgres/catalog/definitions.ts';
import { findRelations } from '../../src/postgres/catalog/table.ts';
import { Database } from '../../src/postgres/database.ts';
import type { Session } from '../../src/postgres/session.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { withDatabase } from '../setup/lab.ts';

const NAME = `large_catalog_${process.pid}`;
const url = withDatabase(inject('sourceAdmin'), NAME);
const drop = async () => administer(inject('sourceAdmin'), [`DROP DATABASE IF EXISTS ${NAME} WITH (FORCE)`]);

beforeAll(async () => {
  await drop();
  await administer(inject('sourceAdmin'), [`CREATE DATABASE ${NAME}`]);
  await administer(url, [
    `CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE pair AS (m mood, n int)`,
    `DO $$ BEGIN FOR n IN 1..1000 LOOP EXECUTE format('CREATE TABLE t%s (id int, m mood, p pair[])', n); END LOOP; END $$`,
    'CREATE VIEW seven AS SELECT id, m FROM t7',
    'VACUUM (ANALYZE) pg_class, pg_attribute, pg_type',
  ]);
});
afterAll(drop);

/** Counts the rows that this transaction has read of catalogs. */
async function rowsRead(session: Session): Promise<number> {
  const { read } = await session.one<{ read: number }>(
    `SELECT sum(seq_tup_read + idx_tup_fetch)::int AS read FROM pg_catalog.pg_stat_xact_all_tables
      WHERE relid IN ('pg_class'::regclass, 'pg_attribute'::regclass, 'pg_type'::regclass)`,
  );
  return read;
}

const t7 = { schema: 'public', name: 't7' };
const asked: Readonly<Record<string, (session: Session, oid: number) => Promise<unknown>>> = {
  'where a table is': async (session) => findRelations(session, [t7]),
  'its entry': readCatalogEntry,
  'its columns and their types': async (session, oid) => readLiveTable(session, oid, null),
  'whether it was redefined': async (session) => findRedefined(session, [{ ...t7, columns: '3 other' }]),
  'what a view reads': async (session) =>
    readViewDefinition(session, (await findRelations(session, [{ schema: 'public', name: 'seven' }]))[0] ?? { oid: 0 }),
}; // prettier-ignore

test.for(Object.keys(asked))(
  'the source is asked for %s without reading what it has of all others',
  async (what) => {
    const source = new Database({ label: 'source', settings: connectionTo(url) });
    const found = await source.read({}, async (session) => {
      const [table] = await findRelations(session, [t7]);
      const oid = table?.oid ?? 0;
      const before = await rowsRead(session);
      const answer = await asked[what]?.(session, oid);
      return { answer, read: (await rowsRead(session)) - before };
    });
    expect(found.answer).toBeDefined();
    expect(found.read).toBeLessThan(600);
    await source.close();
  },
);
