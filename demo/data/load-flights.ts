import type { Client } from 'pg';
import { copyBatches } from './copy-rows.ts';
import { batchesOfMonth, flights, monthsOf } from './flights.ts';
import { openFlights, type RowGroup } from './flights-file.ts';
import type { Month } from './month.ts';
import { timestampText } from './month.ts';
import { addComments, addPrimaryKey, copyFrozen, createTable, dropTable, qualified } from './table-sql.ts';
import { inTransaction } from './transaction.ts';

/**
 * Loads the flights month by month and turns the months into one table at the end: a COPY into
 * a partitioned table cannot FREEZE, and has to find the partition of every row.
 *
 * @param sent receives the rows so far
 */
export async function loadFlights(
  client: Client,
  sent: (rows: number) => void,
  groups?: readonly RowGroup[],
): Promise<void> {
  const rowGroups = groups ?? (await openFlights());
  const months = monthsOf(rowGroups);
  await client.query(dropTable(flights.name));
  let rows = 0;
  for (const month of months) {
    await loadMonth(client, rowGroups, month, (more) => sent((rows += more)));
  }
  await inTransaction(client, () => joinMonths(client, months));
}

async function loadMonth(
  client: Client,
  groups: readonly RowGroup[],
  month: Month,
  sent: (rows: number) => void,
): Promise<void> {
  const name = partitionName(month);
  await client.query(dropTable(name));
  await inTransaction(client, async () => {
    await client.query(createTable(name, flights));
    await copyBatches(client, copyFrozen(name, flights), batchesOfMonth(groups, month), sent);
    await client.query(addPrimaryKey(name, flights));
  });
}

async function joinMonths(client: Client, months: readonly Month[]): Promise<void> {
  await client.query(`${createTable(flights.name, flights)} PARTITION BY RANGE (date)`);
  for (const month of months) await client.query(attach(month));
  // The months' own keys become parts of this one; nothing is rebuilt.
  await client.query(addPrimaryKey(flights.name, flights));
  for (const comment of addComments(flights)) await client.query(comment);
}

function attach(month: Month): string {
  const range = `FROM ('${timestampText(month.from)}') TO ('${timestampText(month.to)}')`;
  return `ALTER TABLE ${qualified(flights.name)} ATTACH PARTITION ${qualified(partitionName(month))} FOR VALUES ${range}`;
}

function partitionName(month: Month): string {
  return `${flights.name}_${month.suffix}`;
}
