import { randomBytes } from 'node:crypto';
import { Client as TemporalClient, Connection, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { DefaultLogger, NativeConnection, Runtime, type Worker } from '@temporalio/worker';
import { Client } from 'pg';
import { inject } from 'vitest';
import type { ExtractTableRequest, ExtractTableResult } from '../../src/contract/extract-table.ts';
import { connectDatabases, type ConnectedDatabases } from '../../src/runtime/connect-databases.ts';
import { createWorkers } from '../../src/runtime/create-workers.ts';
import type * as workflows from '../../src/workflows/index.ts';

Runtime.install({ logger: new DefaultLogger(process.env['DATAKIT_TEST_LOG'] === undefined ? 'ERROR' : 'DEBUG') });

type ExtractHandle = WorkflowHandleWithFirstExecutionRunId<typeof workflows.extractTable>;

/** A source, a warehouse and a task queue of its own, with workers on it, for one test file. */
export class Lab implements AsyncDisposable {
  readonly name: string;
  /** Superuser sessions, to set up and to look. */
  readonly source: Client;
  readonly warehouse: Client;
  readonly temporal: TemporalClient;
  /** URLs with the roles that the worker uses. */
  readonly sourceUrl: string;
  readonly warehouseUrl: string;
  readonly #closers: (() => Promise<void>)[] = [];
  #runs = 0;

  private constructor(name: string, temporal: TemporalClient) {
    this.name = name;
    this.temporal = temporal;
    this.source = new Client(withDatabase(inject('sourceAdmin'), `source_${name}`));
    this.warehouse = new Client(withDatabase(inject('warehouseAdmin'), `warehouse_${name}`));
    this.sourceUrl = withDatabase(inject('sourceAdmin'), `source_${name}`, 'extractor');
    this.warehouseUrl = withDatabase(inject('warehouseAdmin'), `warehouse_${name}`, 'loader');
  }

  static async open(options: { workers?: 'in process' | 'none' } = {}): Promise<Lab> {
    const name = randomBytes(6).toString('hex');
    await administer(inject('sourceAdmin'), [`CREATE DATABASE source_${name}`]);
    await administer(inject('warehouseAdmin'), [
      `CREATE DATABASE warehouse_${name}`,
      `GRANT CREATE ON DATABASE warehouse_${name} TO loader`,
    ]);
    const connection = await Connection.connect({ address: inject('temporalAddress') });
    const lab = new Lab(name, new TemporalClient({ connection }));
    lab.#closers.push(async () => connection.close());
    await Promise.all([lab.source.connect(), lab.warehouse.connect()]);
    for (const client of [lab.source, lab.warehouse]) {
      client.on('error', () => undefined);
      lab.#closers.push(async () => client.end());
    }
    if (options.workers !== 'none') await lab.startWorkers();
    return lab;
  }

  get taskQueue(): string {
    return `lab-${this.name}`;
  }

  /** Starts the two workers of a process, in this one, and gives what stops them. */
  async startWorkers(urls: { source?: string; warehouse?: string } = {}): Promise<() => Promise<void>> {
    const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
    const configuration = {
      warehouseUrl: urls.warehouse ?? this.warehouseUrl,
      sourceUrls: new Map([
        ['default', urls.source ?? this.sourceUrl],
        ['second', urls.source ?? this.sourceUrl],
      ]),
      taskQueue: this.taskQueue,
      maxConcurrentActivities: 10,
    };
    const databases = connectDatabases(configuration);
    const workers = await createWorkers({
      ...configuration,
      connection,
      namespace: 'default',
      dependencies: databases,
      workflowBundle: { codePath: inject('workflowBundle') },
    });
    const running = Promise.all(workers.map(async (worker) => worker.run()));
    let stopped: Promise<void> | undefined;
    const stop = () => (stopped ??= stopWorkers(workers, running, databases, connection));
    this.#closers.unshift(stop);
    return stop;
  }

  /** Starts `extractTable`. */
  async start(request: ExtractTableRequest): Promise<ExtractHandle> {
    this.#runs += 1;
    return this.temporal.workflow.start<typeof workflows.extractTable>('extractTable', {
      taskQueue: this.taskQueue,
      workflowId: `${this.taskQueue}-${this.#runs}`,
      args: [request],
    });
  }

  async extract(request: ExtractTableRequest): Promise<ExtractTableResult> {
    return (await this.start(request)).result();
  }

  /** What staging tables, plans and sessions of runs are there; nothing, when nothing runs. */
  async leftovers(): Promise<string[]> {
    const staged = await this.warehouse.query<{ name: string }>(
      `SELECT relname AS name FROM pg_class WHERE relnamespace = to_regnamespace('bronze_staging') AND relkind = 'r'
       UNION ALL SELECT 'plan ' || plan_id FROM bronze.extraction_plans`,
    );
    const sessions = await this.source.query<{ name: string }>(
      `SELECT format('session %s: %s', pid, query) AS name FROM pg_stat_activity
        WHERE datname = current_database() AND usename = 'extractor' AND state <> 'idle'`,
    );
    return [...staged.rows, ...sessions.rows].map(({ name }) => name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async close(): Promise<void> {
    for (const close of this.#closers) await close();
    await administer(inject('sourceAdmin'), [`DROP DATABASE source_${this.name} WITH (FORCE)`]);
    await administer(inject('warehouseAdmin'), [`DROP DATABASE warehouse_${this.name} WITH (FORCE)`]);
  }
}

async function stopWorkers(
  workers: readonly Worker[],
  running: Promise<unknown>,
  databases: ConnectedDatabases,
  connection: NativeConnection,
): Promise<void> {
  for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  await running;
  await databases.close();
  await connection.close();
}

export function withDatabase(admin: string, database: string, role?: 'extractor' | 'loader'): string {
  const url = new URL(admin);
  url.pathname = `/${database}`;
  if (role !== undefined) {
    url.username = role;
    url.password = `${role}-secret`;
  }
  return url.href;
}

async function administer(url: string, statements: readonly string[]): Promise<void> {
  const client = new Client(url);
  await client.connect();
  try {
    for (const statement of statements) await client.query(statement);
  } finally {
    await client.end();
  }
}
