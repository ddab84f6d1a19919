import { Client } from 'pg';

/** A table of mixed types of about 190 bytes a row: keys, numbers, times, short and longer text, jsonb. */
export async function makeBenchTable(url: string, rows: number): Promise<number> {
  const client = new Client(url);
  await client.connect();
  try {
    await client.query(`CREATE TABLE events AS
      SELECT i::bigint AS id, (i % 1000)::int AS customer, (i % 7)::smallint AS kind,
             (random() * 1e6)::numeric(12, 2) AS amount, random() AS score, i % 3 = 0 AS open,
             timestamptz '2024-01-01' + i * interval '1 second' AS created_at,
             md5(i::text) AS token, 'customer number ' || (i % 1000) AS name,
             jsonb_build_object('page', i % 50, 'agent', 'browser ' || i % 9) AS details
        FROM generate_series(1, ${rows}) AS i`);
    await client.query('ALTER TABLE events ADD PRIMARY KEY (id)');
    await client.query('VACUUM (ANALYZE) events');
    const { rows: sizes } = await client.query<{ size: string }>(`SELECT pg_table_size('events') AS size`);
    return Number(sizes[0]?.size);
  } finally {
    await client.end();
  }
}
