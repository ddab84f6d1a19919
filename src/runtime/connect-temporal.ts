import { loadClientConnectConfig } from '@temporalio/envconfig';
import { isNotFound } from '../activities/grpc-status.ts';

/** What `Connection` and `NativeConnection` have in common. */
interface Connected {
  readonly workflowService: { describeNamespace(request: { namespace: string }): Promise<unknown> };
  close(): Promise<void>;
}

export interface TemporalConnection<C> {
  readonly connection: C;
  readonly address: string;
  readonly namespace: string;
}

type Options = ReturnType<typeof loadClientConnectConfig>['connectionOptions'] & {
  readonly connectTimeout: number;
};

/** Milliseconds. */
const CONNECT_WITHIN = 5_000;

/**
 * Connects as the variables and the profile of the `temporal` command line say, and makes sure that there is the
 * namespace.
 *
 * @throws saying what to do
 */
export async function connectTemporal<C extends Connected>(
  connect: (options: Options) => Promise<C>,
): Promise<TemporalConnection<C>> {
  const { connectionOptions, namespace = 'default' } = readProfile();
  requireHeaders(connectionOptions);
  const address = connectionOptions.address ?? '127.0.0.1:7233';
  let connection: C | undefined;
  try {
    connection = await connect({ ...connectionOptions, connectTimeout: CONNECT_WITHIN });
    await connection.workflowService.describeNamespace({ namespace });
    return { connection, address, namespace };
  } catch (error) {
    await connection?.close();
    throw new Error(failure(error, address, namespace), { cause: error });
  }
}

/** Tells only the first line of what is wrong with the file of profiles: the others quote it, and it may hold keys. */
function readProfile(): ReturnType<typeof loadClientConnectConfig> {
  try {
    return loadClientConnectConfig();
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const [problem] = error.message.split('\n', 1);
    const place = 'line' in error ? `, line ${String(error.line)}` : '';
    throw new Error(
      `The profile of Temporal (TEMPORAL_PROFILE, TEMPORAL_CONFIG_FILE) cannot be read: ${problem}${place}`,
      { cause: error },
    );
  }
}

/** The client would quote them in its error. */
function requireHeaders({ apiKey, metadata = {} }: Pick<Options, 'apiKey' | 'metadata'>): void {
  const headers = [
    ['TEMPORAL_API_KEY', apiKey],
    ...Object.entries(metadata).map(([name, value]) => [`TEMPORAL_GRPC_META_… "${name}"`, value]),
  ];
  for (const [name, value] of headers) {
    if (typeof value !== 'string' || /^[\x20-\x7e]*$/.test(value)) continue;
    throw new Error(`${String(name)} has a line break, or another character that no header has.`);
  }
}

function failure(error: unknown, address: string, namespace: string): string {
  const message = error instanceof Error ? error.message : String(error);
  if (isNotFound(error)) {
    return `Temporal at ${address} has no namespace "${namespace}": check TEMPORAL_NAMESPACE.`;
  }
  if (/connect error|dns error|before the deadline/.test(message)) {
    return `Temporal cannot be reached at ${address}: check TEMPORAL_ADDRESS, or start a server on this machine with "temporal server start-dev".`;
  }
  return `Temporal at ${address}, namespace "${namespace}": ${message}. Check TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TLS and API key.`;
}
