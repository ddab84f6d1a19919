import { startPostgres, type PostgresServer } from './postgres.ts';
import {
  startTemporal,
  type SearchAttributeKind,
  type TemporalOptions,
  type TemporalServer,
} from './temporal.ts';
import { temporalEnvironment } from './temporal-environment.ts';

export interface StackOptions {
  /** If one of the two is missing, a server of our own is started for it. */
  readonly sourceUrl?: string | undefined;
  readonly warehouseUrl?: string | undefined;
  /** Serve Temporal's Web UI, if Temporal is ours. */
  readonly ui?: boolean;
  readonly searchAttributes?: Readonly<Record<string, SearchAttributeKind>>;
}

/** Everything a worker needs. Servers we started can be stopped and started; those we were given are undefined. */
export interface LocalStack {
  readonly sourceUrl: string;
  readonly warehouseUrl: string;
  readonly temporalAddress: string;
  readonly temporalNamespace: string;
  readonly source: PostgresServer | undefined;
  readonly warehouse: PostgresServer | undefined;
  readonly temporal: TemporalServer | undefined;
  /** For `startWorkerProcess`; complete except for the task queue. */
  readonly workerEnvironment: Readonly<Record<string, string>>;
  /** Stops what we started; may be called more than once. */
  close(): Promise<void>;
}

/** Returns a line for people: what is missing, and so takes a while to start. */
export function startingLine(
  { sourceUrl, warehouseUrl }: StackOptions,
  ...others: readonly string[]
): string {
  const parts = [
    ...(sourceUrl ? [] : ['a source']),
    ...(warehouseUrl ? [] : ['a warehouse']),
    ...(givenTemporal() ? [] : ['a Temporal server']),
    ...others,
  ];
  return `Starting ${new Intl.ListFormat('en', { style: 'long' }).format(parts)} …`;
}

const givenTemporal = (): boolean => Boolean(process.env['TEMPORAL_ADDRESS']);

/** Starts whatever is missing of source, warehouse and Temporal; a Temporal at TEMPORAL_ADDRESS is used as is. */
export async function startStack(options: StackOptions): Promise<LocalStack> {
  const source = options.sourceUrl ? undefined : startPostgres({ databases: ['source'] });
  const warehouse = options.warehouseUrl ? undefined : startPostgres({ databases: ['warehouse'] });
  const temporal = givenTemporal() ? undefined : startTemporal(temporalOptions(options));
  // Temporal goes first, so that it hands out no work while the databases shut down.
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

/** A part that failed to start has cleaned up after itself; whoever started it reports its error. */
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
