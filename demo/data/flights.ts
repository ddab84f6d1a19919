import type { CopyBatch } from './copy-rows.ts';
import { copyField } from './copy-text.ts';
import type { TableDefinition } from './demo-table.ts';
import type { FlightColumns, RowGroup } from './flights-file.ts';
import { monthsBetween, timestampText, type Month } from './month.ts';

export const flights: TableDefinition = {
  name: 'flights',
  comment: 'Three million flights within the United States, a partition a month',
  primaryKey: ['id', 'date'],
  columns: [
    { name: 'id', type: 'bigint NOT NULL', comment: 'Place in the file, which is in the order of date' },
    { name: 'date', type: 'timestamp NOT NULL', comment: 'Departure, on the clock of the origin' },
    { name: 'delay', type: 'integer NOT NULL', comment: 'Minutes late on arrival; negative when early' },
    { name: 'distance', type: 'integer NOT NULL', comment: 'Miles' },
    { name: 'origin', type: 'text NOT NULL', comment: 'IATA code, as in airports' },
    { name: 'destination', type: 'text NOT NULL', comment: 'IATA code, as in airports' },
  ],
};

const ROWS_PER_BATCH = 20_000;

/** Returns the months covered by the row groups. */
export function monthsOf(groups: readonly RowGroup[]): Month[] {
  const months = groups.flatMap(({ from, to }) => monthsBetween(from, to));
  return [...new Map(months.map((month) => [month.suffix, month])).values()];
}

/** Yields a month's rows, holding one row group at a time. */
export async function* batchesOfMonth(groups: readonly RowGroup[], month: Month): AsyncGenerator<CopyBatch> {
  for (const group of groups) {
    if (group.to < month.from || group.from >= month.to) continue;
    yield* batchesOfGroup(await group.read(), group, month);
  }
}

function* batchesOfGroup(
  columns: FlightColumns,
  { rows, firstRow }: RowGroup,
  month: Month,
): Generator<CopyBatch> {
  const line = lineFormat(columns, firstRow, month);
  for (let start = 0; start < rows; start += ROWS_PER_BATCH) {
    const batch = { rows: 0, text: '' };
    for (let row = start; row < Math.min(start + ROWS_PER_BATCH, rows); row++) {
      const text = line(row);
      if (text === undefined) continue;
      batch.text += text;
      batch.rows += 1;
    }
    if (batch.rows > 0) yield batch;
  }
}

/** Formats the rows of a month. Dates are sorted and repeat often, so each is formatted once. */
function lineFormat(
  columns: FlightColumns,
  firstRow: number,
  month: Month,
): (row: number) => string | undefined {
  const { date, delay, distance, origin, destination } = columns;
  let last: bigint | undefined;
  let lastText = '';
  return (row) => {
    const moment = date[row];
    if (moment === undefined || moment < month.from || moment >= month.to) return undefined;
    if (moment !== last) [last, lastText] = [moment, timestampText(moment)];
    const airports = `${copyField(origin[row] ?? null)}\t${copyField(destination[row] ?? null)}`;
    return `${firstRow + row + 1}\t${lastText}\t${delay[row]}\t${distance[row]}\t${airports}\n`;
  };
}
