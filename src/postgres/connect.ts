import { callbackify } from 'node:util';
import { Client, DatabaseError } from 'pg';
import { clientOptions, waysOf, type Way } from './client-options.ts';
import type { ConnectionSettings } from './connection-settings.ts';
import type { ClientConfig } from './driver.ts';
import { isTlsFailure, sqlStateOf } from './server-failure.ts';

/** A driver client that leaves no socket behind if it cannot connect, and knows its server's version and encoding. */
export class DatabaseClient extends Client {
  /** 17 for 17.5; known once connected. */
  majorVersion = 0;
  /** That of the database, such as `UTF8`; known once connected. */
  encoding = '';

  readonly #unusable: unknown;

  /** @param options called here; if it throws, {@link connect} fails rather than this constructor */
  constructor(options: () => ClientConfig) {
    const asked = tried(options);
    super('failure' in asked ? {} : asked.value);
    this.#unusable = 'failure' in asked ? asked.failure : undefined;
    this.connection.on('parameterStatus', ({ parameterName, parameterValue }: ParameterStatus) => {
      if (parameterName === 'server_version') this.majorVersion = Number.parseInt(parameterValue, 10);
      if (parameterName === 'server_encoding') this.encoding = parameterValue;
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
    try {
      await super.connect();
    } catch (error) {
      // the driver passes on the word that the server has for it in its language
      if (error instanceof DatabaseError) error.severity = 'FATAL';
      throw error;
    }
  }

  /** Closes the socket, which the driver leaves open when it gives up a login; the server would wait a minute. */
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
 * Opens a session outside any pool; the caller ends it.
 *
 * @param more further options of the driver, such as another `application_name`
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

/** Tries the ways of the settings' mode until the server accepts one; throws the last failure. */
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

/** Returns true if the other way might succeed: TLS failed, or the server did not let the role in. */
function mayBeTheWay(error: unknown): boolean {
  return isTlsFailure(error) || (sqlStateOf(error) ?? '').startsWith('28');
}
