import { randomUUID } from 'node:crypto';
import { Client as TemporalClient, Connection, type WorkflowHandle } from '@temporalio/client';
import type { LocalStack } from '../local/stack.ts';
import { startWorkerProcess, type WorkerProcess } from '../local/worker-process.ts';
import type { CaptureChangesRequest, CaptureChangesResult } from '../src/contract/capture-changes.ts';
import type { ExtractDatabaseRequest, ExtractDatabaseResult } from '../src/contract/extract-database.ts';
import type { ExtractTableRequest, ExtractTableResult } from '../src/contract/extract-table.ts';
import { build, workerEntry } from './build.ts';

interface Workflows {
  extractTable: (request: ExtractTableRequest) => Promise<ExtractTableResult>;
  extractDatabase: (request: ExtractDatabaseRequest) => Promise<ExtractDatabaseResult>;
  captureChanges: (request: CaptureChangesRequest) => Promise<CaptureChangesResult>;
}

export interface ExtractorOptions {
  /** Addresses to use in place of the databases' own. */
  readonly addresses?: { readonly sourceUrl: string; readonly warehouseUrl: string };
  readonly taskQueue?: string;
}

/** This project as people use it: a worker running the build, and runs started through Temporal. */
export class Extractor {
  readonly worker: WorkerProcess;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #taskQueue: string;
  readonly #connection: Connection;
  readonly #client: TemporalClient;
  readonly #runs: WorkflowHandle[] = [];
  #running = true;

  private constructor(
    worker: WorkerProcess,
    connection: Connection,
    taskQueue: string,
    environment: Readonly<Record<string, string>>,
  ) {
    this.worker = worker;
    void worker.exited.then(() => (this.#running = false));
    this.#environment = environment;
    this.#taskQueue = taskQueue;
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
    const environment = { ...stack.workerEnvironment, ...databases, DATAKIT_TASK_QUEUE: taskQueue };
    const worker = await startWorkerProcess({ env: environment, entry: workerEntry });
    const connection = await Connection.connect({ address: stack.temporalAddress });
    return new Extractor(worker, connection, taskQueue, environment);
  }

  get running(): boolean {
    return this.#running;
  }

  /** Starts a run without waiting for its end. */
  async start<Name extends keyof Workflows>(
    name: Name,
    request: Parameters<Workflows[Name]>[0],
  ): Promise<WorkflowHandle<Workflows[Name]>> {
    const run = await this.#client.workflow.start<(input: typeof request) => ReturnType<Workflows[Name]>>(
      name,
      {
        taskQueue: this.#taskQueue,
        workflowId: `bench-${randomUUID()}`,
        args: [request],
      },
    );
    this.#runs.push(run);
    return run as unknown as WorkflowHandle<Workflows[Name]>;
  }

  async table(request: ExtractTableRequest): Promise<ExtractTableResult> {
    return (await this.start('extractTable', request)).result();
  }

  async database(request: ExtractDatabaseRequest): Promise<ExtractDatabaseResult> {
    return (await this.start('extractDatabase', request)).result();
  }

  /** Starts an additional worker, which the caller must stop. */
  async anotherWorker(): Promise<WorkerProcess> {
    return startWorkerProcess({ env: this.#environment, entry: workerEntry });
  }

  /** Stops the worker and terminates unfinished runs, since a client awaiting their results would poll forever. */
  async stop(): Promise<void> {
    await this.worker.stop();
    // most have ended, and terminating those is an error
    await Promise.allSettled(this.#runs.map(async (run) => run.terminate()));
    await this.#connection.close();
  }
}
