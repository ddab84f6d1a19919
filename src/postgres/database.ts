import { DatakitError } from '../contract/failures.ts';
import { applicationName } from './application-name.ts';
import { requestCancel } from './cancel-request.ts';
import { connect, type DatabaseClient } from './connect.ts';
import type { ConnectionSettings, PoolSettings } from './connection-settings.ts';
import type { ClientConfig } from './driver.ts';
import { namingLimit } from './limit-failure.ts';
import { ownWords, serverFailure, sqlStateOf } from './server-failure.ts';
import { SessionPool, type Lease } from './session-pool.ts';
import { Session } from './session.ts';
import { settingsStatement, type SessionLimits } from './session-settings.ts';

export interface DatabaseOptions {
  /** For messages: `source "default"`, `warehouse`. */
  readonly label: string;
  readonly settings: ConnectionSettings;
  /** In place of those of the settings. */
  readonly pool?: PoolSettings;
}

export interface TransactionOptions extends SessionLimits {
  /** Ends the work on the server, not only here. */
  readonly signal?: AbortSignal;
}

/** The isolation level is always set, since roles and databases have defaults of their own. */
const READ_ONLY = 'ISOLATION LEVEL REPEATABLE READ READ ONLY';

/** What waits for a lock must see what was committed meanwhile. READ WRITE is not said: it would override a
 * `default_transaction_read_only` that somebody has set on purpose. */
const WRITE = 'ISOLATION LEVEL READ COMMITTED';

/** Unknown to this version, out of its range, or not for everybody to set. */
const REFUSED_SETTING = new Set(['42704', '22023', '42501', '55P02', '0A000']);

/** One database and the pool of sessions to it. Its errors are {@link DatakitError}s that name it. */
export class Database {
  readonly label: string;
  readonly #settings: ConnectionSettings;
  readonly #pool: SessionPool;

  constructor({ label, settings, pool }: DatabaseOptions) {
    this.label = label;
    this.#settings = settings;
    this.#pool = new SessionPool(label, settings, pool);
  }

  /** As the environment names it, for people and for what says where rows came from. */
  get host(): string {
    const { host } = this.#settings;
    return host.startsWith('/') ? 'localhost' : host;
  }

  /**
   * A session of its own beside the pool, for what lasts: a replication connection. Whoever asks for it ends it.
   *
   * @param more what the driver is to be told besides: `{ replication: 'database' }`
   */
  async connect(more?: ClientConfig): Promise<DatabaseClient> {
    try {
      return await connect(this.#settings, more);
    } catch (error) {
      throw serverFailure(error, this.label);
    }
  }

  /**
   * Runs work in one read-only transaction, all of whose statements see the same snapshot. See {@link write}.
   *
   * @throws {DatakitError} InvalidInput where what is read would write
   */
  async read<T>(options: TransactionOptions, work: (session: Session) => Promise<T>): Promise<T> {
    try {
      return await this.#transaction(READ_ONLY, options, work);
    } catch (error) {
      throw error instanceof DatakitError && this.#isOurs(error) ? asInput(error) : error;
    }
  }

  /**
   * Runs work in one transaction on a session of its own, each of whose statements sees what was committed before it.
   *
   * When the work fails or the signal aborts, what the session still does is cancelled on the
   * server, and the session is closed: a COPY that was given up half-way poisons its connection.
   */
  async write<T>(options: TransactionOptions, work: (session: Session) => Promise<T>): Promise<T> {
    return this.#transaction(WRITE, options, work);
  }

  async #transaction<T>(
    mode: string,
    options: TransactionOptions,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    try {
      options.signal?.throwIfAborted();
      return await this.#withSession(options, async (session) => {
        await this.#begin(session, mode, options);
        const result = await work(session);
        await session.query('COMMIT');
        return result;
      });
    } catch (error) {
      options.signal?.throwIfAborted();
      const failure = serverFailure(error, this.label);
      throw this.#isOurs(failure) ? namingLimit(failure, options) : failure;
    }
  }

  /** What another database said passes through here too. */
  #isOurs({ message }: DatakitError): boolean {
    return message.startsWith(`${this.label}: `);
  }

  /** The first statement of all: what it does not take are the settings that were asked for. */
  async #begin(session: Session, mode: string, options: TransactionOptions): Promise<void> {
    const settings = settingsStatement(options, session.majorVersion);
    try {
      await session.query(`BEGIN ${mode}; ${settings}`);
    } catch (error) {
      const refused = options.settings !== undefined && REFUSED_SETTING.has(sqlStateOf(error) ?? '');
      if (!refused || !(error instanceof Error)) throw error;
      throw new DatakitError(
        'InvalidInput',
        `${this.label} refused a setting of "session": ${ownWords(error)}`,
        {
          cause: error,
        },
      );
    }
  }

  async close(): Promise<void> {
    await this.#pool.close();
  }

  async #withSession<T>(
    { run, signal }: TransactionOptions,
    work: (session: Session) => Promise<T>,
  ): Promise<T> {
    const lease = await this.#pool.acquire(applicationName(run), signal);
    const session = new Session(this.label, lease, signal);
    let cancelled: Promise<void> | undefined;
    const onAbort = () => void (cancelled ??= this.#cancel(session, lease));
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await work(session);
    } catch (error) {
      cancelled ??= this.#cancel(session, lease);
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      // a cancel request under way must not meet the next user of the session
      await cancelled;
      session.release(cancelled === undefined ? 'keep' : 'close');
    }
  }

  /**
   * From another connection, since a session in a COPY listens to nothing. Never rejects: the session is closed
   * next whatever becomes of the request, which may not even be possible, as when a certificate cannot be read now.
   */
  async #cancel(session: Session, { way }: Lease): Promise<void> {
    if (!session.isBusy) return;
    try {
      await requestCancel(this.#settings, way, session.cancellable);
    } catch {
      // why the work has ended is what the caller is to hear
    }
  }
}

/** In a transaction that only reads it is not the server that takes no writes: something that is read writes. */
function asInput(failure: DatakitError): DatakitError {
  if (failure.kind !== 'ReadOnlyServer') return failure;
  return new DatakitError(
    'InvalidInput',
    `${failure.message}: something that is read here writes, be it a function that "where" calls, a view or a policy`,
    { cause: failure.cause },
  );
}
