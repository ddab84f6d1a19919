import type { Client } from 'pg';
import { withClient } from '../with-client.ts';
import { airports } from './airports.ts';
import { birdstrikes } from './birdstrikes.ts';
import { batchesOf, copyBatches } from './copy-rows.ts';
import type { RecordTable } from './demo-table.ts';
import { earthquakes } from './earthquakes.ts';
import { flights } from './flights.ts';
import { loadFlights } from './load-flights.ts';
import { movies } from './movies.ts';
import { addComments, addPrimaryKey, copyFrozen, createTable, dropTable } from './table-sql.ts';
import { inTransaction } from './transaction.ts';
import { zipcodes } from './zipcodes.ts';

const recordTables: readonly RecordTable[] = [airports, birdstrikes, zipcodes, movies, earthquakes];

/** The tables of the demo, the big one first. */
export const demoTables: readonly string[] = [flights.name, ...recordTables.map(({ name }) => name)];

/**
 * Loads the data of `vega-datasets` into the schema public, replacing the tables of an earlier load.
 *
 * @param report receives the rows of a table so far, repeatedly for a large one
 */
export async function loadDemoData(
  sourceUrl: string,
  report: (table: string, rows: number) => void,
): Promise<void> {
  await withClient(sourceUrl, async (client) => {
    await client.query("SET maintenance_work_mem = '256MB'; SET synchronous_commit = off");
    for (const table of recordTables) await loadRecords(client, table, (rows) => report(table.name, rows));
    await loadFlights(client, (rows) => report(flights.name, rows));
    await client.query(`ANALYZE ${demoTables.join(', ')}`);
  });
}

/** Replaces one of the small tables. */
export async function loadRecords(
  client: Client,
  table: RecordTable,
  sent: (rows: number) => void,
): Promise<void> {
  const records = await table.rows();
  let rows = 0;
  await inTransaction(client, async () => {
    await client.query(dropTable(table.name));
    await client.query(createTable(table.name, table));
    await copyBatches(client, copyFrozen(table.name, table), batchesOf(records), (more) =>
      sent((rows += more)),
    );
    await client.query(addPrimaryKey(table.name, table));
    for (const comment of addComments(table)) await client.query(comment);
  });
}
