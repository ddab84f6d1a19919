import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';

/** The table of the writer: every version of a row has a unique stamp. */
export const WRITTEN_TABLE = `CREATE SEQUENCE stamps;
  CREATE TABLE written (id bigint PRIMARY KEY, stamp bigint NOT NULL DEFAULT nextval('stamps'), v text, big text)`;

/** Runs transactions of every kind, one after another, whatever happens to the server, until it is stopped. */
export class CaptureWriter {
  readonly #url: string;
  #stopping = false;
  #next = 1;
  readonly #done: Promise<void>;

  constructor(url: string) {
    this.#url = url;
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#done;
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      const client = new Client({ connectionString: this.#url, connectionTimeoutMillis: 2_000 });
      client.on('error', () => undefined);
      try {
        await client.connect();
        while (!this.#stopping) await this.#write(client);
      } catch {
        await sleep(50); // the server is down, and the transaction in progress is lost
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  async #write(client: Client): Promise<void> {
    const count = 1 + Math.floor(Math.random() * 20);
    const from = this.#next;
    this.#next += count;
    const some = `id % ${2 + Math.floor(Math.random() * 9)} = 0 AND id > ${from - 200}`;
    const end = Math.random() < 0.1 ? 'ROLLBACK' : 'COMMIT';
    await client.query(`BEGIN;
      INSERT INTO written (id, v, big) SELECT i, 'v' || i, CASE WHEN i % 7 = 0 THEN (SELECT string_agg(md5((i * n)::text), '') FROM generate_series(1, 100) n) END
        FROM generate_series(${from}, ${from + count - 1}) i;
      UPDATE written SET stamp = nextval('stamps'), v = v || 'u' WHERE ${some};
      UPDATE written SET stamp = nextval('stamps'), id = -id WHERE id = ${from - 100};
      DELETE FROM written WHERE id = ${from - 50};
      ${end}`);
    await sleep(20 + Math.random() * 60);
  }
}
