import { fileURLToPath } from 'node:url';
import { startWorkerProcess, type WorkerProcess } from '../../local/worker-process.ts';
import type { Lab } from '../setup/lab.ts';
import { remember } from '../setup/secrets.ts';
import { TcpProxy } from '../setup/tcp-proxy.ts';

/** Latency of a nearby network. It also makes each phase long enough to hit. */
const LATENCY = 2;

export interface Reaches {
  readonly source: TcpProxy;
  readonly warehouse: TcpProxy;
  readonly temporal: TcpProxy;
}

/** A place for a worker process: every process in it reaches the servers through the same proxies. */
export class Seat implements AsyncDisposable {
  readonly network: Reaches;
  readonly #environment: Readonly<Record<string, string>>;
  #process: WorkerProcess;

  private constructor(
    network: Reaches,
    environment: Readonly<Record<string, string>>,
    process: WorkerProcess,
  ) {
    this.network = network;
    this.#environment = environment;
    this.#process = process;
  }

  /** @param entry entry module of a version of the worker */
  static async open(lab: Lab, entry: string): Promise<Seat> {
    const { workerEnvironment: direct } = lab;
    const [source, warehouse, temporal] = await Promise.all(
      [
        direct['SOURCE_DATABASE_URL'],
        direct['WAREHOUSE_DATABASE_URL'],
        `tcp://${direct['TEMPORAL_ADDRESS']}`,
      ].map(async (url = '') =>
        TcpProxy.start({ host: '127.0.0.1', port: Number(new URL(url).port) }, LATENCY),
      ),
    );
    if (source === undefined || warehouse === undefined || temporal === undefined)
      throw new Error('no proxy');
    const environment = {
      ...direct,
      SOURCE_DATABASE_URL: source.through(lab.sourceUrl),
      WAREHOUSE_DATABASE_URL: warehouse.through(lab.warehouseUrl),
      TEMPORAL_ADDRESS: `127.0.0.1:${temporal.port}`,
    };
    return new Seat({ source, warehouse, temporal }, environment, await start(environment, entry));
  }

  get proxies(): readonly TcpProxy[] {
    return [this.network.source, this.network.warehouse, this.network.temporal];
  }

  get pid(): number {
    return this.#process.pid;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Ends the process with the signal, and starts another. */
  async replace(signal: 'SIGKILL' | 'SIGTERM', entry: string): Promise<void> {
    this.#process.kill(signal);
    await this.#process.exited;
    this.#process = await start(this.#environment, entry);
  }

  /** Asks the process to shut down, and returns how it ended. */
  async stop(): ReturnType<WorkerProcess['stop']> {
    return this.#process.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#process.exited;
    await Promise.all(this.proxies.map(async (proxy) => proxy[Symbol.asyncDispose]()));
  }
}

const start = async (environment: Readonly<Record<string, string>>, entry: string): Promise<WorkerProcess> =>
  startWorkerProcess({
    entry,
    env: environment,
    onLine: remember,
  });

/** The module that turns the workflows into another version. */
export const otherVersionPath = fileURLToPath(new URL('./programs/other-version.ts', import.meta.url));
