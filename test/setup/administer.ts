import { Client } from 'pg';

/** Runs statements one after another, each in its own transaction, in a new session. */
export async function administer(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
