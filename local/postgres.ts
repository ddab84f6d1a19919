import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Client, escapeIdentifier } from 'pg';
import { freePort, releasePort } from './free-port.ts';
import { embeddedBinaries, type PostgresBinaries } from './postgres-binaries.ts';
import { copyCluster, initCluster, type ClusterPlan } from './postgres-cluster.ts';
import { PostgresStartError, startPostmaster, type PostmasterPlan } from './postgres-process.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from './temporary-directory.ts';
import type { Tethered } from './tether.ts';
import { unprivilegedUser } from './unprivileged-user.ts';

export type { PostgresBinaries } from './postgres-binaries.ts';

const HOST = '127.0.0.1';
const PORT_ATTEMPTS = 5;

export interface PostgresOptions {
  /** Added to the defaults in `postgres-cluster.ts`, or replacing them. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly databases?: readonly string[];
  /** One of the older versions that are also installed, 14 to 17. */
  readonly version?: number;
  /** A version other than those that come with npm. */
  readonly binaries?: PostgresBinaries;
  /** Preferred port; one in use is skipped. */
  readonly port?: number;
  /** The primary to replicate. It is stopped briefly while its files are copied. */
  readonly standbyOf?: PostgresServer;
  /** Parent of the server's temporary directory; the system's by default. */
  readonly directory?: string;
}

/** A real PostgreSQL of our own: temporary, on loopback, gone when our process is gone. */
export interface PostgresServer {
  readonly host: string;
  readonly port: number;
  readonly dataDirectory: string;
  /** The postmaster's pid, which changes with a restart. */
  readonly pid: number;
  /** Returns a connection URL; without a role it is the superuser's, including its password. */
  url(database: string, role?: { user: string; password: string }): string;
  /** Keeps the data. `immediate` is a crash: the next start recovers. */
  stop(mode: 'fast' | 'immediate'): Promise<void>;
  /** Starts it again with the same port and data. */
  start(): Promise<void>;
  /** Returns the new database's URL. */
  createDatabase(name: string, template?: string): Promise<string>;
  /** Stops the server and deletes its data. */
  dispose(): Promise<void>;
}

/**
 * @example
 * const server = await startPostgres({ databases: ['source'] });
 * const client = new Client(server.url('source'));
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const user = await unprivilegedUser();
  const binaries = options.binaries ?? (await embeddedBinaries(user, options.version));
  const directory = await makeTemporaryDirectory('server', options.directory);
  const cluster = { binaries, user, dataDirectory: join(directory, 'data') };
  const primary = options.standbyOf;
  const password = primary === undefined ? randomBytes(16).toString('hex') : passwordOf(primary);
  try {
    const plan = { ...cluster, password, settings: options.settings ?? {} };
    await (primary === undefined ? initCluster(plan) : initStandby(plan, primary));
    const server = await startOnFreePort(cluster, options.port, directory, password);
    return await withDatabases(server, options.databases ?? []);
  } catch (error) {
    await removeTemporaryDirectory(directory);
    throw error;
  }
}

const passwordOf = (server: PostgresServer): string => new URL(server.url('postgres')).password;

async function initStandby(plan: ClusterPlan, primary: PostgresServer): Promise<void> {
  await primary.stop('fast');
  await copyCluster(plan, primary);
  await primary.start();
}

async function withDatabases(server: PostgresServer, names: readonly string[]): Promise<PostgresServer> {
  try {
    for (const name of names) await server.createDatabase(name);
    return server;
  } catch (error) {
    await server.dispose();
    throw error;
  }
}

/** Retries on another port: another process may take one between finding it free and listening on it. */
async function startOnFreePort(
  cluster: Omit<PostmasterPlan, 'port'>,
  wanted: number | undefined,
  directory: string,
  password: string,
): Promise<PostgresServer> {
  for (let attempt = 1; ; attempt++) {
    const plan = { ...cluster, port: await freePort(wanted) };
    try {
      return new EmbeddedPostgres(plan, directory, password, await startPostmaster(plan));
    } catch (error) {
      const taken = error instanceof PostgresStartError && error.portInUse;
      if (!taken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

class EmbeddedPostgres implements PostgresServer {
  readonly #plan: PostmasterPlan;
  readonly #directory: string;
  readonly #password: string;
  #postmaster: Tethered;
  readonly host = HOST;

  constructor(plan: PostmasterPlan, directory: string, password: string, postmaster: Tethered) {
    this.#plan = plan;
    this.#directory = directory;
    this.#password = password;
    this.#postmaster = postmaster;
  }

  get port(): number {
    return this.#plan.port;
  }

  get dataDirectory(): string {
    return this.#plan.dataDirectory;
  }

  get pid(): number {
    return this.#postmaster.pid;
  }

  url(database: string, role = { user: 'postgres', password: this.#password }): string {
    const [name, user, password] = [database, role.user, role.password].map(encodeURIComponent);
    return `postgresql://${user}:${password}@${HOST}:${this.port}/${name}`;
  }

  async stop(mode: 'fast' | 'immediate'): Promise<void> {
    this.#postmaster.signal(mode === 'fast' ? 'SIGINT' : 'SIGQUIT');
    await this.#postmaster.exited;
  }

  async start(): Promise<void> {
    if (this.#postmaster.running) return;
    this.#postmaster = await startPostmaster(this.#plan);
  }

  async createDatabase(name: string, template?: string): Promise<string> {
    const client = new Client(this.url('postgres'));
    await client.connect();
    try {
      const from = template === undefined ? '' : ` TEMPLATE ${escapeIdentifier(template)}`;
      await client.query(`CREATE DATABASE ${escapeIdentifier(name)}${from}`);
    } finally {
      await client.end();
    }
    return this.url(name);
  }

  async dispose(): Promise<void> {
    await this.stop('immediate');
    releasePort(this.port);
    await removeTemporaryDirectory(this.#directory);
  }
}
