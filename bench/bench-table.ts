import { Client } from 'pg';

/** Columns of the benchmark table: keys, numbers, timestamps, short and long text, jsonb; about 270 bytes per row. */
export const benchColumns = `id bigint, customer int, kind smallint, amount numeric(12, 2), score float8, open boolean,
  created_at timestamptz, updated_at timestamptz, token text, name text, address text, note text, details jsonb`;

/** Creates the table `events` and returns its size in bytes. */
export async function makeBenchTable(url: string, rows: number): Promise<number> {
  const client = new Client(url);
  await client.connect();
  try {
    await client.query(`CREATE TABLE events (${benchColumns});
      INSERT INTO events
      SELECT i, i % 1000, i % 7, (random() * 1e6)::numeric(12, 2), random(), i % 3 = 0,
             timestamptz '2024-01-01' + i * interval '1 second', timestamptz '2025-01-01' + i * interval '1 second',
             md5(i::text), 'customer number ' || (i % 1000), (i % 300) || ' Some Street, Flat ' || i % 40 || ', Sometown',
             'delivered to the neighbour, ' || md5((i % 5000)::text),
             jsonb_build_object('page', i % 50, 'agent', 'browser ' || i % 9)
        FROM generate_series(1, ${rows}) AS i;
      ALTER TABLE events ADD PRIMARY KEY (id)`);
    await client.query('VACUUM (ANALYZE) events');
    const { rows: sizes } = await client.query<{ size: string }>(`SELECT pg_table_size('events') AS size`);
    return Number(sizes[0]?.size);
  } finally {
    await client.end();
  }
}
