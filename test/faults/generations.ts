import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

/** Tables that are written during extraction, by write mode. */
export const written = {
  replace: { table: 'replaced', columns: ['id', 'g', 'v'] },
  append: { table: 'appended', columns: ['id', 'g', 'v'] },
  merge: { table: 'merged', columns: ['id', 'g', "updated_at AT TIME ZONE 'UTC'", 'v'] },
} as const;

export type TableMode = keyof typeof written;

const ROWS = 4000;
const TABLES = `DROP TABLE IF EXISTS replaced, appended, merged, generations;
  CREATE TABLE replaced (id bigint PRIMARY KEY, g bigint, v text);
  CREATE TABLE appended (id bigserial PRIMARY KEY, g bigint, v text);
  CREATE TABLE merged (id bigserial PRIMARY KEY, g bigint, updated_at timestamptz NOT NULL DEFAULT clock_timestamp(), v text);
  CREATE TABLE generations (g bigint PRIMARY KEY, replace text, append text, merge text);
  INSERT INTO replaced SELECT i, 0, repeat(md5(i::text), 7) FROM generate_series(1, ${ROWS}) i;
  INSERT INTO appended (g, v) SELECT 0, repeat(md5(i::text), 7) FROM generate_series(1, ${ROWS}) i;
  INSERT INTO merged (g, v) SELECT 0, repeat(md5(i::text), 7) FROM generate_series(1, ${ROWS}) i`;

/** Changes made in one transaction, which move rows to other blocks. */
const changes = (g: number): string => `
  UPDATE replaced SET g = ${g}, v = repeat(md5(${g} || v), 7) WHERE id % 40 = ${g % 40};
  DELETE FROM replaced WHERE id = (SELECT min(id) FROM replaced);
  INSERT INTO replaced VALUES (${ROWS + g}, ${g}, repeat(md5('${g}'), 7));
  INSERT INTO appended (g, v) SELECT ${g}, repeat(md5(${g} || ':' || i), 7) FROM generate_series(1, 30) i;
  UPDATE merged SET g = ${g}, v = repeat(md5(${g} || v), 7), updated_at = clock_timestamp() WHERE id % 40 = ${g % 40};
  INSERT INTO merged (g, v) VALUES (${g}, repeat(md5('${g}'), 7))`;

/** More changes at once, so that the next increment has several chunks. */
const manyChanges = (g: number): string => `
  INSERT INTO appended (g, v) SELECT ${g}, repeat(md5(${g} || ':' || i), 7) FROM generate_series(1, ${ROWS / 2}) i;
  UPDATE merged SET g = ${g}, updated_at = clock_timestamp() WHERE id % 2 = 0`;

/** Returns a digest of all rows of a table, by value. */
export async function digestOf(client: Client, mode: TableMode, table: string): Promise<string> {
  const { rows } = await client.query<{ digest: string }>(`SELECT ${digest(mode, table)} AS digest`);
  return rows[0]?.digest ?? '';
}

const digest = (mode: TableMode, table: string): string =>
  `(SELECT count(*) || ' rows, ' || coalesce(sum(hashtextextended(ROW(${written[mode].columns.join(', ')})::text, 42)), 0) FROM ${table})`;

/**
 * Writes tables, one transaction after another, and records the digests of the tables with each.
 *
 * A run must bring exactly one of these generations to bronze: not a row more or less, or of another moment.
 */
export class Generations {
  readonly #url: string;
  #stopping = false;
  #done: Promise<void> = Promise.resolve();

  constructor(url: string) {
    this.#url = url;
  }

  async makeTables(): Promise<void> {
    await this.#once(async (client) => {
      await client.query(TABLES);
      await write(client, () => '');
    });
  }

  async writeMany(): Promise<void> {
    await this.#once(async (client) => write(client, manyChanges));
  }

  /** Keeps writing, whatever happens to the server, until it is stopped. */
  start(): void {
    this.#stopping = false;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  async latest(client: Client): Promise<number> {
    const { rows } = await client.query<{ g: number }>('SELECT max(g)::int AS g FROM generations');
    return rows[0]?.g ?? 0;
  }

  /** Returns the generation with this digest, from the given one on. */
  async find(client: Client, mode: TableMode, found: string, from: number): Promise<number | undefined> {
    const { rows } = await client.query<{ g: number }>(
      `SELECT g::int AS g FROM generations WHERE ${mode} = $1 AND g >= $2`,
      [found, from],
    );
    return rows[0]?.g;
  }

  async #once(work: (client: Client) => Promise<void>): Promise<void> {
    const client = new Client({ connectionString: this.#url, connectionTimeoutMillis: 2_000 });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await work(client);
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      await this.#once(async (client) => {
        while (!this.#stopping) {
          await write(client, changes);
          await sleep(150 + Math.random() * 100);
        }
      }).catch(async () => sleep(50)); // the server is down, and the transaction in progress is lost
    }
  }
}

async function write(client: Client, statements: (g: number) => string): Promise<void> {
  const { rows } = await client.query<{ g: number }>(
    'SELECT coalesce(max(g), 0)::int + 1 AS g FROM generations',
  );
  const g = rows[0]?.g ?? 1;
  await client.query(`BEGIN; ${statements(g)};
    INSERT INTO generations SELECT ${g}, ${digest('replace', 'replaced')}, ${digest('append', 'appended')}, ${digest('merge', 'merged')};
    COMMIT`);
}
