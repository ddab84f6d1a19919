import { Client } from 'pg';

/** Runs statements in a session of their own. */
export async function execute(url: string, statements: string): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    await client.query(statements);
  } finally {
    await client.end();
  }
}
