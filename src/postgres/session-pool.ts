import { Pool } from 'pg';
import { DatakitError } from '../contract/failures.ts';
import { clientOptions, waysOf, type Way } from './client-options.ts';
import { DatabaseClient, onFirstWay } from './connect.ts';
import { capacityOf, type ConnectionSettings, type PoolSettings } from './connection-settings.ts';
import { Slots, type Slot } from './slots.ts';

/** How long a session of the pool that nobody uses stays open: between two chunks, and no longer than others can wait. */
const IDLE_TIMEOUT = 5_000;

/** A session that somebody has. */
export interface Lease {
  readonly client: DatabaseClient;
  readonly way: Way;
  giveBack(what: 'keep' | 'close'): void;
}

/**
 * The sessions to one database: never more than the pool's settings say, however they are connected.
 *
 * Beneath is a pool of the driver for each way that the settings' `sslmode` may take. Who waits, how
 * long and for whom is decided here, so that a failure can say who has the sessions.
 */
export class SessionPool {
  readonly #label: string;
  readonly #settings: ConnectionSettings;
  readonly #size: number;
  readonly #slots: Slots;
  readonly #pools: ReadonlyMap<Way, Pool>;

  constructor(label: string, settings: ConnectionSettings, pool: PoolSettings = settings.pool) {
    this.#label = label;
    this.#settings = settings;
    this.#size = pool.size;
    this.#slots = new Slots(capacityOf(pool), pool.timeout);
    this.#pools = new Map(waysOf(settings).map((way) => [way, poolOf(settings, way, capacityOf(pool))]));
  }

  /**
   * @param holder who asks, for those who wait in vain
   * @throws {DatakitError} PoolExhausted when no session came free in time
   */
  async acquire(holder: string, signal?: AbortSignal): Promise<Lease> {
    const slot = await this.#slots.take(holder, signal);
    if (slot === undefined) throw this.#exhausted();
    try {
      return await this.#connected(slot);
    } catch (error) {
      slot.free();
      throw error;
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(async (pool) => pool.end()));
  }

  async #connected(slot: Slot): Promise<Lease> {
    const [idle] = [...this.#pools].filter(([, { idleCount }]) => idleCount > 0);
    const { pool, client, way } =
      idle === undefined
        ? await onFirstWay(this.#settings, async (each) => this.#session(each))
        : await this.#session(idle[0]);
    return {
      client,
      way,
      giveBack: (what) => {
        client.release(what === 'close' || pool.totalCount > this.#size);
        slot.free();
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
      `${this.#label}: no session came free in ${this.#slots.patience}; all ${this.#slots.count} are in use: ${this.#slots.holders()}`,
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
  // an idle session that the server ends is replaced at the next use; without a listener it would end the worker
  pool.on('error', () => undefined);
  return pool;
}
