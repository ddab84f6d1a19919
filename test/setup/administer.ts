import { Client } from 'pg';

/** Runs statements one after the other, each in a transaction of its own, on a session made for them. */
export async function administer(url: string, statements: readonly string[]): Promise<void> {
  await withSession(url, async (client) => {
    for (const statement of statements) await client.query(statement);
  });
}

/** The first version that can be told how to make a database; those before copy files. */
const STRATEGY_SINCE = 150_000;

/** Makes a database by copying the files of an empty one, which takes a fifth of the CPU that copying by the log does. */
export async function createDatabase(
  url: string,
  name: string,
  statements: readonly string[] = [],
): Promise<void> {
  await withSession(url, async (client) => {
    const { rows } = await client.query<{ version: number }>(
      `SELECT current_setting('server_version_num')::int AS version`,
    );
    const strategy = (rows[0]?.version ?? 0) < STRATEGY_SINCE ? '' : 'STRATEGY file_copy';
    await client.query(`CREATE DATABASE ${name} ${strategy}`);
    for (const statement of statements) await client.query(statement);
  });
}

async function withSession(url: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
