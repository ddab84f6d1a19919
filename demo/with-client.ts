import { Client } from 'pg';

/** Opens a connection for as long as `use` needs it. */
export async function withClient<Result>(
  url: string,
  use: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = new Client({ connectionString: url, application_name: 'datakit-postgres demo' });
  // The query in progress fails too; without a listener the event would end the process.
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
