import { randomUUID } from 'node:crypto';
import { Client as TemporalClient, Connection } from '@temporalio/client';
import type { LocalStack } from '../local/stack.ts';
import { startWorkerProcess, type WorkerProcess } from '../local/worker-process.ts';
import type { ExtractDatabaseRequest, ExtractDatabaseResult } from '../src/contract/extract-database.ts';
import type { ExtractTableRequest, ExtractTableResult } from '../src/contract/extract-table.ts';
import { build } from './build.ts';

interface Workflows {
  extractTable: (request: ExtractTableRequest) => Promise<ExtractTableResult>;
  extractDatabase: (request: ExtractDatabaseRequest) => Promise<ExtractDatabaseResult>;
}

/** What a run gave, and how many events its history has. */
export interface Extracted<T> {
  readonly result: T;
  readonly events: number;
}

export interface ExtractorOptions {
  /** Other addresses of the databases than their own. */
  readonly addresses?: { readonly sourceUrl: string; readonly warehouseUrl: string };
  readonly taskQueue?: string;
}

/** This project as people use it: a worker of the build, and runs that are started through Temporal. */
export class Extractor {
  readonly worker: WorkerProcess;
  readonly #connection: Connection;
  readonly #client: TemporalClient;
  readonly taskQueue: string;
  #running = true;

  private constructor(worker: WorkerProcess, connection: Connection, taskQueue: string) {
    this.worker = worker;
    this.taskQueue = taskQueue;
    void worker.exited.then(() => (this.#running = false));
    this.#connection = connection;
    this.#client = new TemporalClient({ connection });
  }

  static async start(
    stack: LocalStack,
    { addresses, taskQueue = 'bench' }: ExtractorOptions = {},
  ): Promise<Extractor> {
    await build();
    const databases = addresses && {
      SOURCE_DATABASE_URL: addresses.sourceUrl,
      WAREHOUSE_DATABASE_URL: addresses.warehouseUrl,
    };
    const worker = await startWorkerProcess({
      env: { ...stack.workerEnvironment, ...databases, DATAKIT_TASK_QUEUE: taskQueue },
      entry: process.env['BENCH_WORKER'] ?? 'dist/worker.js',
    });
    return new Extractor(worker, await Connection.connect({ address: stack.temporalAddress }), taskQueue);
  }

  get running(): boolean {
    return this.#running;
  }

  async table(request: ExtractTableRequest): Promise<Extracted<ExtractTableResult>> {
    return this.#run('extractTable', request);
  }

  async database(request: ExtractDatabaseRequest): Promise<Extracted<ExtractDatabaseResult>> {
    return this.#run('extractDatabase', request);
  }

  async stop(): Promise<void> {
    await this.worker.stop();
    await this.#connection.close();
  }

  async #run<Name extends keyof Workflows>(
    name: Name,
    request: Parameters<Workflows[Name]>[0],
  ): Promise<Extracted<Awaited<ReturnType<Workflows[Name]>>>> {
    const handle = await this.#client.workflow.start(name, {
      taskQueue: this.taskQueue,
      workflowId: `bench-${randomUUID()}`,
      args: [request],
    });
    const result = (await handle.result()) as Awaited<ReturnType<Workflows[Name]>>;
    const { historyLength } = await handle.describe();
    return { result, events: historyLength };
  }
}
