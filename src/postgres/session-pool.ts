import { Pool } from 'pg';
import { DatakitError } from '../contract/failures.ts';
import { clientOptions, waysOf, type Way } from './client-options.ts';
import { DatabaseClient, onFirstWay } from './connect.ts';
import { capacityOf, type ConnectionSettings, type PoolSettings } from './connection-settings.ts';
import { Semaphore, type Permit } from './semaphore.ts';

/** How long an idle session of the pool stays open: from chunk to chunk, but no longer than others can wait. */
const IDLE_TIMEOUT = 5_000;

/** A session taken from the pool. */
export interface Lease {
  readonly client: DatabaseClient;
  readonly way: Way;
  giveBack(what: 'keep' | 'close'): void;
}

/**
 * The sessions to one database, never more than the pool's settings allow, however they are connected.
 *
 * Uses a driver pool for each way that the settings' `sslmode` may take. Waiting is handled here, so
 * that a failure can say who holds the sessions.
 */
export class SessionPool {
  readonly #label: string;
  readonly #settings: ConnectionSettings;
  readonly #size: number;
  readonly #permits: Semaphore;
  readonly #pools: ReadonlyMap<Way, Pool>;

  constructor(label: string, settings: ConnectionSettings, pool: PoolSettings = settings.pool) {
    this.#label = label;
    this.#settings = settings;
    this.#size = pool.size;
    this.#permits = new Semaphore(capacityOf(pool), pool.timeout);
    this.#pools = new Map(waysOf(settings).map((way) => [way, poolOf(settings, way, capacityOf(pool))]));
  }

  /**
   * @param holder who takes the session, for the errors of those who wait in vain
   * @throws {DatakitError} PoolExhausted if no session became free in time
   */
  async acquire(holder: string, signal?: AbortSignal): Promise<Lease> {
    const permit = await this.#permits.acquire(holder, signal);
    if (permit === undefined) throw this.#exhausted();
    try {
      return await this.#connected(permit);
    } catch (error) {
      permit.release();
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(async (pool) => pool.end()));
  }

  async #connected(permit: Permit): Promise<Lease> {
    const idle = [...this.#pools].find(([, { idleCount }]) => idleCount > 0);
    const { pool, client, way } =
      idle === undefined
        ? await onFirstWay(this.#settings, async (each) => this.#session(each))
        : await this.#session(idle[0]);
    return {
      client,
      way,
      giveBack: (what) => {
        client.release(what === 'close' || pool.totalCount > this.#size);
        permit.release();
      },
    };
  }

  async #session(way: Way) {
    const pool = this.#pools.get(way);
    if (pool === undefined) throw new Error(`no pool of ${way} sessions`);
    const client = await pool.connect();
    if (!isOurs(client)) throw new Error('the pool made a session of another kind');
    return { pool, client, way };
  }

  #exhausted(): DatakitError {
    return new DatakitError(
      'PoolExhausted',
      `${this.#label}: no session became free within ${this.#permits.patience}; all ${this.#permits.count} are in use: ${this.#permits.holders()}`,
    );
  }
}

const isOurs = <T extends object>(client: T): client is T & DatabaseClient =>
  client instanceof DatabaseClient;

function poolOf(settings: ConnectionSettings, way: Way, max: number): Pool {
  class PooledClient extends DatabaseClient {
    constructor() {
      super(() => clientOptions(settings, way));
    }
  }
  const pool = new Pool({ max, idleTimeoutMillis: IDLE_TIMEOUT, Client: PooledClient });
  // an idle session that the server ends is replaced at the next use; without a listener it would crash the worker
  pool.on('error', () => undefined);
  return pool;
}
