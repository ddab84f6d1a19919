import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { doubtPartitions } from '../../src/capture/doubt-partitions.ts';
import { readCatalogEntry } from '../../src/capture/live-table.ts';
import { Database } from '../../src/postgres/database.ts';
import { administer } from '../setup/administer.ts';
import { connectionTo } from '../setup/connection-to.ts';
import { withDatabase } from '../setup/lab.ts';
import { waitUntil } from '../setup/wait-until.ts';

const NAME = `old_rows_${process.pid}`;
const admin = (database: string) => withDatabase(inject('sourceAdmin'), database);
const drop = async () =>
  administer(inject('sourceAdmin'), [
    `DROP DATABASE IF EXISTS ${NAME} WITH (FORCE)`,
    `DROP DATABASE IF EXISTS ${NAME}_made WITH (FORCE)`,
  ]);

/** A table whose rows look as if more than half of all numbers of transactions had been given out since. */
beforeAll(async () => {
  await drop();
  await administer(inject('sourceAdmin'), [`CREATE DATABASE ${NAME}_made`]);
  const client = new Client(admin(`${NAME}_made`));
  await client.connect();
  await client.query(`CREATE TABLE archived (id int PRIMARY KEY); INSERT INTO archived VALUES (1), (2)`);
  // a slot that is being made, of any database, keeps rows from being frozen
  await waitUntil(async () => {
    await client.query('VACUUM (FREEZE) archived');
    const seen = await client.query(
      `SELECT FROM pg_class WHERE relname = 'archived' AND relallvisible = relpages`,
    );
    return seen.rowCount === 1;
  });
  await client.query('CHECKPOINT');
  const { rows } = await client.query<{ file: string; number: string }>(
    `SELECT current_setting('data_directory') || '/' || pg_relation_filepath('archived') AS file,
            (pg_snapshot_xmax(pg_current_snapshot())::text::bigint + 1000000) & 4294967295 AS number`,
  );
  await client.end();
  for (const { file, number } of rows) await writeTransactions(join(file), Number(number));
  // reads the files, and not what the server has in memory of them
  await administer(inject('sourceAdmin'), [
    `CREATE DATABASE ${NAME} TEMPLATE ${NAME}_made STRATEGY file_copy`,
    `ALTER DATABASE ${NAME} SET ignore_checksum_failure = on`,
  ]);
});
afterAll(drop);

/** Writes a number of a transaction into all rows of a table of one block: https://www.postgresql.org/docs/current/storage-page-layout.html */
async function writeTransactions(path: string, number: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const { buffer: block } = await file.read(Buffer.alloc(8192), 0, 8192, 0);
    const end = block.readUInt16LE(12);
    for (let item = 24; item < end; item += 4) block.writeUInt32LE(number, block.readUInt32LE(item) & 0x7fff);
    await file.write(block, 0, 8192, 0);
  } finally {
    await file.close();
  }
}

test('rows of a partition that are older than most numbers of transactions were there when it was attached', async () => {
  await administer(admin(NAME), [
    'CREATE TABLE events (id int PRIMARY KEY) PARTITION BY RANGE (id)',
    'CREATE TABLE empty (LIKE archived INCLUDING INDEXES)',
    'ALTER TABLE events ATTACH PARTITION archived FOR VALUES FROM (0) TO (10)',
    'ALTER TABLE events ATTACH PARTITION empty FOR VALUES FROM (10) TO (20)',
    'INSERT INTO empty VALUES (11)',
    'GRANT SELECT ON ALL TABLES IN SCHEMA public TO extractor',
  ]);
  const source = new Database({
    label: 'source',
    settings: connectionTo(withDatabase(inject('sourceAdmin'), NAME, 'extractor')),
  });
  await source.read({}, async (session) => {
    expect(await session.query('SELECT age(xmin) < 0 AS "isNegative" FROM public.archived')).toEqual([
      { isNegative: true },
      { isNegative: true },
    ]);
    const { oid } = await session.one<{ oid: number }>(`SELECT 'public.events'::regclass::oid AS oid`);
    const entry = await readCatalogEntry(session, oid);
    if (entry === undefined) throw new Error('there is no table');
    expect(await doubtPartitions(session, entry, { ...entry, files: {} })).toEqual([
      'partition public.archived was attached with rows',
    ]);
  });
  await source.close();
});
