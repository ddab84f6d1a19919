import { Client } from 'pg';

/** Runs statements one after the other, each in a transaction of its own, on a session made for them. */
export async function administer(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
