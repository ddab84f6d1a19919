import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import type { Share } from './result.ts';
import { sharesOf } from './shares.ts';

const LOOK_EVERY_MS = 20;
const AT_WORK = 'at work (CPU)';

/** Samples the wait events of this project's sessions on a server. */
export class WaitSampler {
  readonly #client: Client;
  readonly #seen = new Map<string, number>();
  #stopped = false;
  #sampling: Promise<void> = Promise.resolve();

  private constructor(client: Client) {
    this.#client = client;
  }

  static async start(url: string): Promise<WaitSampler> {
    const client = new Client(url);
    await client.connect();
    const sampler = new WaitSampler(client);
    sampler.#sampling = sampler.#sample();
    return sampler;
  }

  /** Stops sampling, and returns the wait events of active sessions as shares. */
  async stop(): Promise<Share[]> {
    this.#stopped = true;
    await this.#sampling;
    await this.#client.end();
    return sharesOf(this.#seen);
  }

  async #sample(): Promise<void> {
    while (!this.#stopped) {
      const { rows } = await this.#client.query<{ event: string; count: number }>(
        `SELECT coalesce(wait_event_type || ': ' || wait_event, '${AT_WORK}') AS event, count(*)::int AS count
           FROM pg_stat_activity
          WHERE state = 'active' AND pid <> pg_backend_pid() AND application_name LIKE 'datakit-postgres%' GROUP BY 1`,
      );
      for (const { event, count } of rows) this.#seen.set(event, (this.#seen.get(event) ?? 0) + count);
      await sleep(LOOK_EVERY_MS);
    }
  }
}
