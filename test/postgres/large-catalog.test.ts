import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { readCatalogEntry, readLiveTable } from '../../src/capture/live-table.ts';
import { readColumnsOf, readTypesOf } from '../../src/postgres/catalog/columns.ts';
import { findRedefined, readViewDefinition } from '../../src/postgres/catalog/definitions.ts';
import { readTree } from '../../src/postgres/catalog/partition-tree.ts';
import { readPartitions } from '../../src/postgres/catalog/partitions.ts';
import { findRelations } from '../../src/postgres/catalog/table.ts';
import { Database } from '../../src/postgres/database.ts';
import type { Session } from '../../src/postgres/session.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { withDatabase } from '../setup/lab.ts';

const NAME = `large_catalog_${process.pid}`;
const url = withDatabase(inject('sourceAdmin'), NAME);
const drop = async () => administer(inject('sourceAdmin'), [`DROP DATABASE IF EXISTS ${NAME} WITH (FORCE)`]);

const catalogs = ['pg_class', 'pg_attribute', 'pg_type', 'pg_inherits', 'pg_constraint'];

beforeAll(async () => {
  await drop();
  await administer(inject('sourceAdmin'), [`CREATE DATABASE ${NAME}`]);
  await administer(url, [
    `CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE pair AS (m mood, n int)`,
    `DO $$ BEGIN FOR n IN 1..1000 LOOP EXECUTE format('CREATE TABLE t%s (id int NOT NULL, m mood, p pair[])', n); END LOOP; END $$`,
    'CREATE TABLE days (day int NOT NULL) PARTITION BY LIST (day)',
    `DO $$ BEGIN FOR n IN 1..500 LOOP EXECUTE format('CREATE TABLE d%s PARTITION OF days FOR VALUES IN (%1$s)', n); END LOOP; END $$`,
    'CREATE VIEW seven AS SELECT id, m FROM t7',
    `VACUUM (ANALYZE) ${catalogs.join(', ')}`,
  ]);
});
afterAll(drop);

/** Counts the rows that this transaction has read of catalogs. */
async function rowsRead(session: Session): Promise<number> {
  const { read } = await session.one<{ read: number }>(
    `SELECT sum(seq_tup_read + idx_tup_fetch)::int AS read FROM pg_catalog.pg_stat_xact_all_tables
      WHERE relid = ANY ($1::regclass[])`,
    [catalogs],
  );
  return read;
}

const t7 = { schema: 'public', name: 't7' };
const asked: Readonly<Record<string, (session: Session, oid: number) => Promise<unknown>>> = {
  'where a table is': async (session) => findRelations(session, [t7]),
  'its entry': readCatalogEntry,
  'its columns': async (session, oid) => readColumnsOf(session, [oid]),
  'its types': async (session, oid) => readTypesOf(session, [oid]),
  'its partitions': async (session, oid) => readTree(session, { oid }),
  'what is known of them': async (session, oid) => readPartitions(session, [oid]),
  'its columns, as a capture sees them': async (session, oid) => readLiveTable(session, oid, null),
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
    expect(found.read).toBeLessThan(1200);
    await source.close();
  },
);
