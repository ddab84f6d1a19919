import { randomUUID } from 'node:crypto';
import type { Dependencies } from '../activities/dependencies.ts';
import { tellWait } from '../activities/run-activity.ts';
import { asBookkeepingLost } from '../bronze/bookkeeping-lost.ts';
import { asRaisedInWarehouse } from '../bronze/raised-in-warehouse.ts';
import { migrate } from '../bronze/migrate.ts';
import { sourceVariable, type Configuration } from '../config/environment.ts';
import { DatakitError } from '../contract/failures.ts';
import type { ConnectionSettings, PoolSettings } from '../postgres/connection-settings.ts';
import { Database } from '../postgres/database.ts';

/** Maximum number of streams that one worker runs at once. Each decodes, so it needs its share of a CPU. */
export const MOST_STREAMS = 20;

export interface ConnectedDatabases extends Dependencies {
  /** The names of all sources. */
  readonly sources: readonly string[];
  close(): Promise<void>;
}

/**
 * Creates the databases of this worker's environment. Nothing is connected before it is used.
 *
 * An activity uses at most one session of a database, and there are no more activity slots than the
 * warehouse pool has sessions. So whoever waits for a session of a source waits for an activity that
 * has all it needs, and there can be no deadlock.
 */
export function connectDatabases(configuration: Configuration): ConnectedDatabases {
  const { warehouse: settings, maxConcurrentSnapshots } = configuration;
  let migrated: Promise<void> | undefined;
  const explain = (failure: DatakitError): DatakitError => {
    const lost = asBookkeepingLost(failure);
    if (lost !== undefined) migrated = undefined; // the next activity makes it anew
    return lost ?? asRaisedInWarehouse(failure);
  };
  const told = { label: 'warehouse', settings, explain, onWaiting: tellWait };
  const warehouse = new Database(told);
  const sources = new NamedSources(configuration.sources);
  // a session that held a snapshot is not worth keeping open
  const holding = new NamedSources(configuration.sources, { size: 0, maxOverflow: maxConcurrentSnapshots });
  // a stream may write its heartbeat and read the catalog of the source at the same time
  const streaming = new NamedSources(configuration.sources, {
    size: MOST_STREAMS,
    maxOverflow: MOST_STREAMS,
  });
  const streamingPool = { ...settings.pool, size: MOST_STREAMS, maxOverflow: 0 };
  const streamingWarehouse = new Database({ ...told, pool: streamingPool });
  return {
    worker: randomUUID(),
    isStopping: () => false,
    sources: [...configuration.sources.keys()],
    warehouse,
    ready: async () => {
      migrated ??= migrate(warehouse);
      try {
        await migrated;
      } catch (error) {
        migrated = undefined; // the next activity tries again
        throw error;
      }
    },
    searchAttributesKnown: async () => false,
    sourceNamed: (name) => sources.get(name),
    holdingSourceNamed: (name) => holding.get(name),
    streamingSourceNamed: (name) => streaming.get(name),
    streamingWarehouse,
    close: async () => {
      const databases = [warehouse, sources, holding, streaming, streamingWarehouse];
      await Promise.all(databases.map(async (database) => database.close()));
    },
  };
}

class NamedSources {
  readonly #databases: ReadonlyMap<string, Database>;

  constructor(
    sources: ReadonlyMap<string, ConnectionSettings>,
    capacity?: Pick<PoolSettings, 'size' | 'maxOverflow'>,
  ) {
    this.#databases = new Map(
      [...sources].map(([name, settings]) => [
        name,
        new Database({
          label: `source "${name}"`,
          settings,
          pool: { ...settings.pool, ...capacity },
          onWaiting: tellWait,
        }),
      ]),
    );
  }

  get(name: string): Database {
    const database = this.#databases.get(name);
    if (database !== undefined) return database;
    const known = [...this.#databases.keys()].map((one) => `"${one}"`).join(', ');
    throw new DatakitError(
      'UnknownSource',
      `The worker has no source "${name}" (${sourceVariable(name)} is not set); it has ${known}`,
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.#databases.values()].map(async (database) => database.close()));
  }
}
