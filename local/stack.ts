import { startPostgres, type PostgresServer } from './postgres.ts';
import {
  startTemporal,
  type SearchAttributeKind,
  type TemporalOptions,
  type TemporalServer,
} from './temporal.ts';
import { temporalEnvironment } from './temporal-environment.ts';

export interface StackOptions {
  /** A server of our own is started for each of the two that is missing. */
  readonly sourceUrl?: string | undefined;
  readonly warehouseUrl?: string | undefined;
  /** Serve Temporal's Web UI, when the Temporal is ours. */
  readonly ui?: boolean;
  readonly searchAttributes?: Readonly<Record<string, SearchAttributeKind>>;
}

/** Everything a worker needs. What we started is there to be stopped and started; what was given is undefined. */
export interface LocalStack {
  readonly sourceUrl: string;
  readonly warehouseUrl: string;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  readonly source: PostgresServer | undefined;
  readonly warehouse: PostgresServer | undefined;
  readonly temporal: TemporalServer | undefined;
  /** For `startWorkerProcess`, and complete but for the task queue. */
  readonly workerEnvironment: Readonly<Record<string, string>>;
  /** Stops what we started; more than once is no error. */
  close(): Promise<void>;
}

/** Starts what is missing of source, warehouse and Temporal; a Temporal at TEMPORAL_ADDRESS is used as it is. */
export async function startStack(options: StackOptions): Promise<LocalStack> {
  const source = options.sourceUrl ? undefined : startPostgres({ databases: ['source'] });
  const warehouse = options.warehouseUrl ? undefined : startPostgres({ databases: ['warehouse'] });
  const temporal = process.env['TEMPORAL_ADDRESS'] ? undefined : startTemporal(temporalOptions(options));
  // Temporal goes first: nothing is to be handed out any more while the databases go.
  const close = once(() => disposeInOrder([temporal, source, warehouse]));
  try {
    await Promise.all([source, warehouse, temporal]);
    return describe(
      options,
      { source: await source, warehouse: await warehouse, temporal: await temporal },
      close,
    );
  } catch (error) {
    await close();
    throw error;
  }
}

function temporalOptions({ ui, searchAttributes }: StackOptions): TemporalOptions {
  return { ...(ui !== undefined && { ui }), ...(searchAttributes !== undefined && { searchAttributes }) };
}

function describe(
  options: StackOptions,
  own: Pick<LocalStack, 'source' | 'warehouse' | 'temporal'>,
  close: () => Promise<void>,
): LocalStack {
  const sourceUrl = own.source?.url('source') ?? options.sourceUrl ?? '';
  const warehouseUrl = own.warehouse?.url('warehouse') ?? options.warehouseUrl ?? '';
  const temporal = temporalEnvironment(own.temporal);
  return {
    ...own,
    sourceUrl,
    warehouseUrl,
    temporalAddress: temporal.TEMPORAL_ADDRESS,
    temporalNamespace: temporal.TEMPORAL_NAMESPACE,
    workerEnvironment: { SOURCE_DATABASE_URL: sourceUrl, WAREHOUSE_DATABASE_URL: warehouseUrl, ...temporal },
    close,
  };
}

interface Disposable {
  dispose(): Promise<void>;
}

/** A part that failed to start has cleaned up after itself; its error is told by who started it. */
async function disposeInOrder(parts: readonly (Promise<Disposable> | undefined)[]): Promise<void> {
  for (const part of parts) {
    const started = await part?.catch(() => undefined);
    await started?.dispose();
  }
}

function once(action: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | undefined;
  return () => (done ??= action());
}
