import { join, resolve } from 'node:path';
import { freePort, releasePort } from './free-port.ts';
import { findTemporalCli } from './temporal-cli.ts';
import { startDevServer, stopDevServer, TemporalStartError, type DevServerPlan } from './temporal-process.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from './temporary-directory.ts';
import type { Tethered } from './tether.ts';

const PREFERRED_PORT = 7233;
const PREFERRED_UI_PORT = 8233;
const NAMESPACE = 'default';
const PORT_ATTEMPTS = 5;
/**
 * A dev server has one shard, and looks 20 times a second at each of its queues: every step of every run would wait for
 * the next look. A cluster has hundreds of shards, which are limited each.
 */
export const LOOKS_PER_SECOND = {
  'history.transferProcessorMaxPollRPS': 1000,
  'history.timerProcessorMaxPollRPS': 1000,
  'history.visibilityProcessorMaxPollRPS': 1000,
};

export type SearchAttributeKind = 'Keyword' | 'Int' | 'Text' | 'Double' | 'Bool' | 'Datetime' | 'KeywordList';

export interface TemporalOptions {
  /** Serve the Web UI too. */
  readonly ui?: boolean;
  /** Keep the state in this file; without it the state is temporary. */
  readonly databaseFile?: string;
  /** Wishes: ports in use are stepped over. */
  readonly port?: number;
  readonly uiPort?: number;
  readonly searchAttributes?: Readonly<Record<string, SearchAttributeKind>>;
  readonly dynamicConfig?: Readonly<Record<string, string | number | boolean>>;
}

/** Temporal's dev server: on loopback, gone when our process is. */
export interface TemporalServer {
  readonly address: string;
  readonly namespace: string;
  readonly uiUrl: string | undefined;
  /** The executable, for people who want to use its command line too. */
  readonly cli: string;
  readonly pid: number;
  /** Keeps the state. */
  stop(): Promise<void>;
  /** The same ports, the same state. */
  start(): Promise<void>;
  /** Stops the server and deletes its temporary state. */
  dispose(): Promise<void>;
}

/**
 * @example
 * const temporal = await startTemporal({ ui: true, searchAttributes: { DatakitTable: 'Keyword' } });
 * const connection = await Connection.connect({ address: temporal.address });
 */
export async function startTemporal(options: TemporalOptions = {}): Promise<TemporalServer> {
  const cli = await findTemporalCli();
  const directory = await makeTemporaryDirectory('temporal');
  try {
    return await startOnFreePorts(cli, directory, options);
  } catch (error) {
    await removeTemporaryDirectory(directory);
    throw error;
  }
}

/** Between finding a port free and listening on it another process may take it. */
async function startOnFreePorts(
  cli: string,
  directory: string,
  options: TemporalOptions,
): Promise<TemporalServer> {
  for (let attempt = 1; ; attempt++) {
    const plan = await planServer(cli, directory, options);
    try {
      return new DevServer(plan, await startDevServer(plan));
    } catch (error) {
      const taken = error instanceof TemporalStartError && error.portInUse;
      if (!taken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

async function planServer(cli: string, directory: string, options: TemporalOptions): Promise<DevServerPlan> {
  return {
    cli,
    directory,
    databaseFile: resolve(options.databaseFile ?? join(directory, 'temporal.db')),
    temporary: options.databaseFile === undefined,
    namespace: NAMESPACE,
    port: await freePort(options.port ?? PREFERRED_PORT),
    uiPort: options.ui ? await freePort(options.uiPort ?? PREFERRED_UI_PORT) : undefined,
    searchAttributes: options.searchAttributes ?? {},
    dynamicConfig: { ...LOOKS_PER_SECOND, ...options.dynamicConfig },
  };
}

class DevServer implements TemporalServer {
  readonly #plan: DevServerPlan;
  #server: Tethered;
  readonly namespace = NAMESPACE;

  constructor(plan: DevServerPlan, server: Tethered) {
    this.#plan = plan;
    this.#server = server;
  }

  get address(): string {
    return `127.0.0.1:${this.#plan.port}`;
  }

  get uiUrl(): string | undefined {
    const { uiPort } = this.#plan;
    return uiPort === undefined ? undefined : `http://127.0.0.1:${uiPort}`;
  }

  get cli(): string {
    return this.#plan.cli;
  }

  get pid(): number {
    return this.#server.pid;
  }

  async stop(): Promise<void> {
    await stopDevServer(this.#server);
  }

  async start(): Promise<void> {
    if (!this.#server.running) this.#server = await startDevServer(this.#plan);
  }

  async dispose(): Promise<void> {
    // An orderly stop takes a second, which state about to be deleted is not worth.
    if (this.#plan.temporary) this.#server.signal('SIGKILL');
    await this.stop();
    const { port, uiPort, directory } = this.#plan;
    for (const used of [port, uiPort]) if (used !== undefined) releasePort(used);
    await removeTemporaryDirectory(directory);
  }
}
