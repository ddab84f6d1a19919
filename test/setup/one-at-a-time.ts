import type { Client } from 'pg';

/**
 * Lets tests that run at once share a client: a query waits for the one before it. The driver would queue it too, but
 * warns that it will not any more.
 */
export function oneAtATime(client: Client): Client {
  const ask: (...query: unknown[]) => Promise<unknown> = client.query.bind(client);
  let last: Promise<unknown> = Promise.resolve();
  const query = async (...given: unknown[]) => {
    const before = last.catch(() => undefined);
    last = before.then(async () => ask(...given));
    return last;
  };
  return Object.assign(client, { query });
}
