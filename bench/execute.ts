import { Client, type QueryResultRow } from 'pg';

/** Runs statements in a new session. */
export async function execute(url: string, statements: string): Promise<void> {
  await query(url, statements);
}

/** Runs one statement in a new session and returns its rows. */
export async function query<Row extends QueryResultRow>(url: string, statement: string): Promise<Row[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query<Row>(statement)).rows;
  } finally {
    await client.end();
  }
}

/** Returns the URL of another database on the same server. */
export function inDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
