import type pg from 'pg';

/** Two extracted tables joined, and where the rows are from: the columns that every bronze table ends with. */
export const EXAMPLE_QUERY = `SELECT city, origin, count(*) AS flights, round(avg(delay), 1) AS mean_delay,
       f._bronze_source, f._bronze_loaded_at
FROM bronze.br_flights f JOIN bronze.br_airports ON iata = origin
GROUP BY city, origin, f._bronze_source, f._bronze_loaded_at
ORDER BY mean_delay DESC LIMIT 5`;

/** The answer as text, its titles first. */
export async function runExample(client: pg.Client): Promise<{ titles: string[]; rows: string[][] }> {
  const { fields, rows } = await client.query<unknown[]>({ text: EXAMPLE_QUERY, rowMode: 'array' });
  return { titles: fields.map(({ name }) => name), rows: rows.map((row) => row.map(shown)) };
}

function shown(value: unknown): string {
  if (value instanceof Date) return `${value.toISOString().slice(0, 19)}Z`;
  return typeof value === 'string' || typeof value === 'number' ? String(value) : JSON.stringify(value);
}
