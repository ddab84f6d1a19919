import { Client, type QueryResultRow } from 'pg';

/** Runs statements in a session of their own. */
export async function execute(url: string, statements: string): Promise<void> {
  await query(url, statements);
}

/** The rows of one statement, run in a session of its own. */
export async function query<Row extends QueryResultRow>(url: string, statement: string): Promise<Row[]> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query<Row>(statement)).rows;
  } finally {
    await client.end();
  }
}

/** The URL of another database of the same server. */
export function inDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.href;
}
