import { randomBytes } from 'node:crypto';
import {
  Client as TemporalClient,
  Connection,
  type WorkflowHandleWithFirstExecutionRunId,
} from '@temporalio/client';
import { NativeConnection, type Worker } from '@temporalio/worker';
import { Client } from 'pg';
import { inject } from 'vitest';
import { startWorkerProcess, type WorkerProcess } from '../../local/worker-process.ts';
import { readEnvironment, type Configuration } from '../../src/config/environment.ts';
import type { ExtractDatabaseRequest, ExtractDatabaseResult } from '../../src/contract/extract-database.ts';
import type { ExtractTableRequest, ExtractTableResult } from '../../src/contract/extract-table.ts';
import { connectDatabases, type ConnectedDatabases } from '../../src/runtime/connect-databases.ts';
import { createWorkers } from '../../src/runtime/create-workers.ts';
import './quiet.ts';
import type * as workflows from '../../src/workflows/index.ts';
import { administer } from './administer.ts';
import { closeConnection } from './close-connection.ts';
import { grantsOnWarehouse } from './roles.ts';
import { secretsIn, secretsOf } from './secrets-search.ts';
import { remember } from './secrets.ts';
import { waitUntil } from './wait-until.ts';
import { oneAtATime } from './one-at-a-time.ts';
import { WAREHOUSE_TEMPLATE } from './warehouse-template.ts';

export type DatabaseHandle = WorkflowHandleWithFirstExecutionRunId<typeof workflows.extractDatabase>;
export type ExtractHandle = WorkflowHandleWithFirstExecutionRunId<typeof workflows.extractTable>;

/** Superuser URLs of both servers. */
export interface Servers {
  readonly source: string;
  readonly warehouse: string;
}

export interface LabOptions {
  readonly workers?: 'in process' | 'none';
  /** The servers shared by all tests by default. */
  readonly servers?: Servers;
  /** The address of the test's own Temporal server. */
  readonly temporalAddress?: string;
  readonly taskQueue?: string;
  /** Options for creating the source database: `TEMPLATE template0 LOCALE …`. */
  readonly sourceOptions?: string;
  /** Likewise for the warehouse. */
  readonly warehouseOptions?: string;
}

/** Overrides of what the lab tells a worker. */
export interface Told {
  readonly source?: string;
  readonly warehouse?: string;
  /** Further variables. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface WorkersInProcess extends Told {
  /** One of the workers of a process; all by default. */
  readonly only?: 'copies' | 'snapshots';
}

/** A separate source, warehouse and task queue, with workers on it, for one test file. */
export class Lab implements AsyncDisposable {
  readonly name: string;
  readonly temporal: TemporalClient;
  /** URLs with the roles that the worker uses. */
  readonly sourceUrl: string;
  readonly warehouseUrl: string;
  readonly #closers: (() => Promise<void>)[] = [];
  #source: Client;
  #warehouse: Client;
  #runs = 0;
  #tables = 0;

  readonly #admin: Servers;
  readonly #temporalAddress: string;
  readonly taskQueue: string;

  private constructor(
    name: string,
    temporal: TemporalClient,
    admin: Servers,
    temporalAddress: string,
    taskQueue = `lab-${name}`,
  ) {
    this.name = name;
    this.#temporalAddress = temporalAddress;
    this.taskQueue = taskQueue;
    this.temporal = temporal;
    this.#admin = admin;
    this.#source = oneAtATime(new Client(withDatabase(admin.source, `source_${name}`)));
    this.#warehouse = oneAtATime(new Client(withDatabase(admin.warehouse, `warehouse_${name}`)));
    this.sourceUrl = withDatabase(admin.source, `source_${name}`, 'extractor');
    this.warehouseUrl = withDatabase(admin.warehouse, `warehouse_${name}`, 'loader');
  }

  static async open(options: LabOptions = {}): Promise<Lab> {
    const name = randomBytes(6).toString('hex');
    const admin = options.servers ?? { source: inject('sourceAdmin'), warehouse: inject('warehouseAdmin') };
    const template = admin.warehouse === inject('warehouseAdmin') ? `TEMPLATE ${WAREHOUSE_TEMPLATE}` : '';
    await Promise.all([
      administer(admin.source, [`CREATE DATABASE source_${name} ${options.sourceOptions ?? ''}`]),
      administer(admin.warehouse, [
        `CREATE DATABASE warehouse_${name} ${options.warehouseOptions ?? template}`,
        ...grantsOnWarehouse(`warehouse_${name}`),
      ]),
    ]);
    const temporalAddress = options.temporalAddress ?? inject('temporalAddress');
    const connection = await Connection.connect({ address: temporalAddress });
    const lab = new Lab(name, new TemporalClient({ connection }), admin, temporalAddress, options.taskQueue);
    lab.#closers.push(async () => connection.close());
    for (const client of [lab.source, lab.warehouse]) {
      client.on('error', () => undefined);
      await client.connect();
      lab.#closers.push(async () => client.end());
    }
    if (options.workers !== 'none') await lab.startWorkers();
    return lab;
  }

  /** Returns a new table name, and that of the corresponding bronze table. */
  nextTable(): { table: string; bronze: string } {
    this.#tables += 1;
    const table = `t${this.#tables}`;
    return { table, bronze: `bronze.br_${table}` };
  }

  /** Superuser sessions, for setup and inspection. */
  get source(): Client {
    return this.#source;
  }

  get warehouse(): Client {
    return this.#warehouse;
  }

  /** Opens new superuser sessions, after a server was restarted. */
  async reconnect(): Promise<void> {
    [this.#source, this.#warehouse] = await Promise.all([this.connect('source'), this.connect('warehouse')]);
  }

  /** Returns the configuration of a worker of this lab, as read from its environment. */
  configuration({ source, warehouse, environment }: Told = {}): Configuration {
    return readEnvironment({
      WAREHOUSE_DATABASE_URL: warehouse ?? this.warehouseUrl,
      SOURCE_DATABASE_URL: source ?? this.sourceUrl,
      SOURCE_SECOND_DATABASE_URL: source ?? this.sourceUrl,
      DATAKIT_TASK_QUEUE: this.taskQueue,
      DATAKIT_MAX_CONCURRENT_ACTIVITIES: '10',
      ...environment,
    });
  }

  /** The environment of a separate worker process. */
  get workerEnvironment(): Record<string, string> {
    return {
      SOURCE_DATABASE_URL: this.sourceUrl,
      WAREHOUSE_DATABASE_URL: this.warehouseUrl,
      DATAKIT_TASK_QUEUE: this.taskQueue,
      TEMPORAL_ADDRESS: this.#temporalAddress,
    };
  }

  /** Starts the workers in a separate process. */
  async startWorkerProcess(environment: Readonly<Record<string, string>> = {}): Promise<WorkerProcess> {
    return startWorkerProcess({
      env: { ...this.workerEnvironment, ...environment },
      entry: inject('worker'),
      onLine: remember,
    });
  }

  /** Starts the workers of a process inside this one; the returned function stops them. */
  async startWorkers({ only, ...told }: WorkersInProcess = {}): Promise<() => Promise<void>> {
    const connection = await NativeConnection.connect({ address: this.#temporalAddress });
    const configuration = this.configuration(told);
    const databases = connectDatabases(configuration);
    const created = await createWorkers({
      ...configuration,
      connection,
      namespace: 'default',
      dependencies: databases,
      workflowBundle: {
        codePath: inject(configuration.encryptionKeys.length === 0 ? 'workflowBundle' : 'encryptedBundle'),
      },
    });
    const names = ['copies', 'snapshots', 'streams'];
    const isWanted = (_worker: Worker, index: number) => only === undefined || names[index] === only;
    const workers = created.filter(isWanted);
    // a worker that never ran would hold its connection forever
    for (const worker of created) if (!workers.includes(worker)) await worker.runUntil(Promise.resolve());
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

  /** Starts `extractDatabase`. */
  async startDatabase(request: ExtractDatabaseRequest): Promise<DatabaseHandle> {
    this.#runs += 1;
    return this.temporal.workflow.start<typeof workflows.extractDatabase>('extractDatabase', {
      taskQueue: this.taskQueue,
      workflowId: `${this.taskQueue}-${this.#runs}`,
      args: [request],
    });
  }

  async extractDatabase(request: ExtractDatabaseRequest): Promise<ExtractDatabaseResult> {
    return (await this.startDatabase(request)).result();
  }

  async extract(request: ExtractTableRequest): Promise<ExtractTableResult> {
    return (await this.start(request)).result();
  }

  /** Opens another session, of the superuser or of a role, which is closed with the lab. */
  async connect(side: 'source' | 'warehouse', role?: 'extractor' | 'loader'): Promise<Client> {
    const client = new Client(withDatabase(this.#admin[side], `${side}_${this.name}`, role));
    client.on('error', () => undefined);
    await client.connect();
    this.#closers.unshift(async () => client.end());
    return client;
  }

  /** Waits until a run has its plan. */
  async planned(): Promise<void> {
    await waitUntil(async () => {
      const { rows } = await this.warehouse.query<{ plans: string | null }>(
        `SELECT to_regclass('bronze.extraction_plans') AS plans`,
      );
      if (rows[0]?.plans === null) return false;
      return (await this.warehouse.query('SELECT FROM bronze.extraction_plans')).rowCount !== 0;
    });
  }

  /** Lists staging tables, plans, orphaned data and sessions of runs; empty if nothing is running. */
  async leftovers(): Promise<string[]> {
    const staged = await this.warehouse.query<{ name: string }>(
      `SELECT oid::regclass::text AS name FROM pg_class
        WHERE relkind = 'r' AND NOT relispartition
          AND relnamespace IN (to_regnamespace('bronze_staging'), to_regnamespace('bronze_data'))
       UNION ALL SELECT 'plan ' || plan_id FROM bronze.extraction_plans
       UNION ALL SELECT 'attempt at ' || plan_id || '/' || first_chunk FROM bronze.extraction_attempts
       UNION ALL SELECT 'member ' || member || ' of ' || run_id FROM bronze.extraction_members`,
    );
    const sessions = await Promise.all([this.source, this.warehouse].map(busySessions));
    return [...staged.rows.map(({ name }) => name), ...sessions.flat()];
  }

  /** Lists what is still there after everything temporary has had time to go. */
  async leftoversAtLast(within = 30_000): Promise<string[]> {
    let left: string[] = [];
    await waitUntil(async () => (left = await this.leftovers()).length === 0, within).catch(() => undefined);
    return left;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Searches what the runs of this lab left in the warehouse, before it is dropped. */
  async #expectNoSecrets(): Promise<void> {
    const secrets = secretsOf([this.#admin.source, this.#admin.warehouse]);
    const client = new Client(withDatabase(this.#admin.warehouse, `warehouse_${this.name}`));
    await client.connect();
    for (const table of ['runs', 'plans', 'checkpoints', 'targets']) {
      const { rows } = await client.query<{ there: boolean }>('SELECT to_regclass($1) IS NOT NULL AS there', [
        `bronze.extraction_${table}`,
      ]);
      if (rows[0]?.there !== true) continue;
      const all = await client.query<{ text: string }>(
        `SELECT t::text AS text FROM bronze.extraction_${table} t`,
      );
      for (const { text } of all.rows) {
        const found = secretsIn(text, secrets);
        if (found.length > 0) throw new Error(`bronze.extraction_${table} holds ${found.join()}: ${text}`);
      }
    }
    await client.end();
  }

  /** A database with a slot cannot be dropped, nor can a slot that is in use. */
  async #dropSource(): Promise<void> {
    const ours = `pg_replication_slots WHERE database = 'source_${this.name}'`;
    await administer(this.#admin.source, [
      `SELECT pg_terminate_backend(active_pid) FROM ${ours} AND active_pid IS NOT NULL`,
      `DO $$ BEGIN
         FOR attempt IN 1..100 LOOP
           EXIT WHEN NOT EXISTS (SELECT FROM ${ours} AND active_pid IS NOT NULL);
           PERFORM pg_sleep(0.1);
         END LOOP;
       END $$`,
      `SELECT pg_drop_replication_slot(slot_name) FROM ${ours}`,
      `DROP DATABASE source_${this.name} WITH (FORCE)`,
    ]);
  }

  async close(): Promise<void> {
    await this.#expectNoSecrets();
    for (const close of this.#closers) await close();
    await Promise.all([
      this.#dropSource(),
      administer(this.#admin.warehouse, [`DROP DATABASE warehouse_${this.name} WITH (FORCE)`]),
    ]);
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
  await closeConnection(connection);
}

async function busySessions(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT format('session %s of %s, %s: %s', pid, usename, state, query) AS name FROM pg_stat_activity
      WHERE datname = current_database() AND usename IN ('extractor', 'loader') AND state <> 'idle'`,
  );
  return rows.map(({ name }) => name);
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
