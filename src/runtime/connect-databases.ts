import { randomUUID } from 'node:crypto';
import type { Dependencies } from '../activities/dependencies.ts';
import { migrate } from '../bronze/migrate.ts';
import { sourceVariable, type Configuration } from '../config/environment.ts';
import { DatakitError } from '../contract/failures.ts';
import { Database } from '../postgres/database.ts';

/** Snapshots that one worker holds at once, each with a session of its own. */
export const MOST_SNAPSHOTS = 100;

export interface ConnectedDatabases extends Dependencies {
  close(): Promise<void>;
}

/**
 * The databases of this worker's environment. Nothing is connected before it is used.
 *
 * Every pool is as large as there are activity slots, and an activity uses one session of a
 * database at the most, so that no activity waits for another's session.
 */
export function connectDatabases(configuration: Configuration): ConnectedDatabases {
  const { warehouseUrl, sourceUrls, maxConcurrentActivities: poolSize } = configuration;
  const warehouse = new Database({ label: 'warehouse', url: warehouseUrl, poolSize });
  const sources = new NamedSources(sourceUrls, poolSize);
  const holding = new NamedSources(sourceUrls, MOST_SNAPSHOTS);
  let migrated: Promise<void> | undefined;
  return {
    worker: randomUUID(),
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
    close: async () => {
      await Promise.all([warehouse.close(), sources.close(), holding.close()]);
    },
  };
}

class NamedSources {
  readonly #databases: ReadonlyMap<string, Database>;

  constructor(urls: ReadonlyMap<string, string>, poolSize: number) {
    this.#databases = new Map(
      [...urls].map(([name, url]) => [name, new Database({ label: `source "${name}"`, url, poolSize })]),
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
