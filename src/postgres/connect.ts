import { callbackify } from 'node:util';
import { Client } from 'pg';
import { clientOptions, waysOf, type Way } from './client-options.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import type { ClientConfig } from './driver.ts';
import { isTlsFailure, sqlStateOf } from './server-failure.ts';

/** A client of the driver that leaves nothing behind where it could not connect, and knows its server. */
export class DatabaseClient extends Client {
  /** 17 for 17.5; known when it is connected. */
  majorVersion = 0;

  readonly #unusable: unknown;

  /** @param options asked for here, so that what cannot be read fails the connection and not its maker */
  constructor(options: () => ClientConfig) {
    const asked = tried(options);
    super('failure' in asked ? {} : asked.value);
    this.#unusable = 'failure' in asked ? asked.failure : undefined;
    this.connection.on('parameterStatus', ({ parameterName, parameterValue }: ParameterStatus) => {
      if (parameterName === 'server_version') this.majorVersion = Number.parseInt(parameterValue, 10);
    });
  }

  override connect(): Promise<this>;
  override connect(callback: (error: Error | null) => void): void;
  override connect(callback?: (error: Error | null) => void): Promise<this> | void {
    const connected = this.#connect().then(
      () => this,
      (error: unknown) => {
        this.#hangUp();
        throw error;
      },
    );
    if (callback === undefined) return connected;
    callbackify(async () => connected)(callback);
  }

  async #connect(): Promise<void> {
    if (this.#unusable !== undefined) throw this.#unusable;
    await super.connect();
  }

  /** The driver leaves a connection open whose log-in it gives up, and the server waits for it for a minute. */
  #hangUp(): void {
    this.connection.stream.destroy();
  }
}

function tried<T>(work: () => T): { readonly value: T } | { readonly failure: unknown } {
  try {
    return { value: work() };
  } catch (failure) {
    return { failure };
  }
}

interface ParameterStatus {
  readonly parameterName: string;
  readonly parameterValue: string;
}

/**
 * A session of its own, outside any pool; whoever asks for it ends it.
 *
 * @param more what the driver is to be told besides, such as another `application_name`
 */
export async function connect(
  settings: ConnectionSettings,
  more: ClientConfig = {},
): Promise<DatabaseClient> {
  return onFirstWay(settings, async (way) => {
    const client = new DatabaseClient(() => ({ ...clientOptions(settings, way), ...more }));
    client.on('error', () => undefined);
    return client.connect();
  });
}

/** Tries the ways of the settings' mode until the server takes one; the last failure is the one to tell. */
export async function onFirstWay<T>(
  settings: ConnectionSettings,
  attempt: (way: Way) => Promise<T>,
): Promise<T> {
  const [first, ...others] = waysOf(settings);
  let way = first;
  for (;;) {
    try {
      return await attempt(way);
    } catch (error) {
      const next = others.shift();
      if (next === undefined || !mayBeTheWay(error)) throw error;
      way = next;
    }
  }
}

/** Whether a server might answer otherwise with, or without, encryption: TLS failed, or it did not let the role in. */
function mayBeTheWay(error: unknown): boolean {
  return isTlsFailure(error) || (sqlStateOf(error) ?? '').startsWith('28');
}
