import { Client as TemporalClient, Connection } from '@temporalio/client';
import type { LocalStack } from '../local/stack.ts';
import { startWorkerProcess, type WorkerProcess } from '../local/worker-process.ts';
import type { ExtractDatabaseRequest, ExtractDatabaseResult } from '../src/contract/extract-database.ts';
import type { ExtractTableRequest, ExtractTableResult } from '../src/contract/extract-table.ts';
import { build } from './build.ts';

const TASK_QUEUE = 'bench';

interface Workflows {
  extractTable: (request: ExtractTableRequest) => Promise<ExtractTableResult>;
  extractDatabase: (request: ExtractDatabaseRequest) => Promise<ExtractDatabaseResult>;
}

/** What a run gave, and how many events its history has. */
export interface Extracted<T> {
  readonly result: T;
  readonly events: number;
}

/** This project as people use it: a worker of the build, and runs that are started through Temporal. */
export class Extractor {
  readonly worker: WorkerProcess;
  readonly #connection: Connection;
  readonly #client: TemporalClient;
  #runs = 0;

  private constructor(worker: WorkerProcess, connection: Connection) {
    this.worker = worker;
    this.#connection = connection;
    this.#client = new TemporalClient({ connection });
  }

  static async start(stack: LocalStack): Promise<Extractor> {
    await build();
    const worker = await startWorkerProcess({
      env: { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: TASK_QUEUE },
      entry: process.env['BENCH_WORKER'] ?? 'dist/worker.js',
    });
    return new Extractor(worker, await Connection.connect({ address: stack.temporalAddress }));
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
    this.#runs += 1;
    const handle = await this.#client.workflow.start(name, {
      taskQueue: TASK_QUEUE,
      workflowId: `bench-${this.#runs}`,
      args: [request],
    });
    const result = (await handle.result()) as Awaited<ReturnType<Workflows[Name]>>;
    const { historyLength } = await handle.describe();
    return { result, events: historyLength };
  }
}
