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
 * A dev server has one shard, and polls each of its queues 20 times a second: every step of every run would wait for
 * the next poll. A cluster has hundreds of shards, each with its own limit.
 */
export const LOOKS_PER_SECOND = {
  'history.transferProcessorMaxPollRPS': 1000,
  'history.timerProcessorMaxPollRPS': 1000,
  'history.visibilityProcessorMaxPollRPS': 1000,
};

export type SearchAttributeKind = 'Keyword' | 'Int' | 'Text' | 'Double' | 'Bool' | 'Datetime' | 'KeywordList';

export interface TemporalOptions {
  /** Also serves the Web UI. */
  readonly ui?: boolean;
  /** Keeps the state in this file; without it the state is temporary. */
  readonly databaseFile?: string;
  /** Preferred ports; those in use are skipped. */
  readonly port?: number;
  readonly uiPort?: number;
  readonly searchAttributes?: Readonly<Record<string, SearchAttributeKind>>;
  readonly dynamicConfig?: Readonly<Record<string, string | number | boolean>>;
}

/** Temporal's dev server: on loopback, gone when our process is gone. */
export interface TemporalServer {
  readonly address: string;
  readonly namespace: string;
  readonly uiUrl: string | undefined;
  /** The executable, also for people who want to use its command line. */
  readonly cli: string;
  readonly pid: number;
  /** Stops the server and keeps the state. */
  stop(): Promise<void>;
  /** Starts it again with the same ports and state. */
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

/** Retries on other ports: another process may take one between finding it free and listening on it. */
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
    // An orderly stop takes a second, which is wasted on state about to be deleted.
    if (this.#plan.temporary) this.#server.signal('SIGKILL');
    await this.stop();
    const { port, uiPort, directory } = this.#plan;
    for (const used of [port, uiPort]) if (used !== undefined) releasePort(used);
    await removeTemporaryDirectory(directory);
  }
}
