import type { Client } from 'pg';
import { formatDuration } from '../src/contract/quantities.ts';
import type { Screen } from './terminal/screen.ts';
import { textTable, type TextColumn } from './terminal/text-table.ts';
import { withClient } from './with-client.ts';

/** Joins two extracted tables, and shows when the rows came: a metadata column that every bronze table has. */
const EXAMPLE_QUERY = `SELECT city, origin, count(*) AS flights, round(avg(delay), 1) AS mean_delay,
       f._bronze_loaded_at
FROM bronze.br_flights f JOIN bronze.br_airports ON iata = origin
GROUP BY city, origin, f._bronze_loaded_at HAVING count(*) > 1000
ORDER BY mean_delay DESC LIMIT 5`;

/** Right-aligned types: bigint and numeric, by their OIDs in pg_type. */
const FIGURES = [20, 1700];

interface Answer {
  readonly columns: readonly TextColumn[];
  readonly rows: readonly (readonly string[])[];
}

/** Shows an example of what people do with bronze, and runs it. */
export async function showExample(warehouseUrl: string, screen: Screen): Promise<void> {
  screen.heading('A query over bronze');
  screen.print(`  psql '${warehouseUrl}'`, '', ...EXAMPLE_QUERY.split('\n').map((line) => `  ${line}`), '');
  screen.draw(['  running …']);
  const began = performance.now();
  const { columns, rows } = await withClient(warehouseUrl, runExample);
  screen.conclude([`  took ${formatDuration(performance.now() - began)}`]);
  screen.print('', ...textTable(columns, rows));
}

async function runExample(client: Client): Promise<Answer> {
  const { fields, rows } = await client.query<unknown[]>({ text: EXAMPLE_QUERY, rowMode: 'array' });
  const columns = fields.map(({ name, dataTypeID }): TextColumn => {
    return { title: name, align: FIGURES.includes(dataTypeID) ? 'right' : 'left' };
  });
  return { columns, rows: rows.map((row) => row.map(shown)) };
}

function shown(value: unknown): string {
  if (value instanceof Date) return `${value.toISOString().slice(0, 19)}Z`;
  return typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value);
}
