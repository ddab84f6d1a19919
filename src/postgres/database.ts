import { Client, Pool } from 'pg';
import { LendingSocket } from './lending-socket.ts';
import { serverFailure } from './server-failure.ts';
import { Session } from './session.ts';
import { settingsStatement, type SessionLimits } from './session-settings.ts';

export interface DatabaseOptions {
  /** For messages: `source "default"`, `warehouse`. */
  readonly label: string;
  readonly url: string;
  readonly poolSize: number;
}

export interface TransactionOptions extends SessionLimits {
  readonly mode: 'READ WRITE' | 'ISOLATION LEVEL REPEATABLE READ READ ONLY';
  /** Ends the work on the server, not only here. */
  readonly signal?: AbortSignal;
}

/** All is said, since roles and databases have defaults of their own; what waits for a lock must see what came before. */
const beginModes: Readonly<Record<TransactionOptions['mode'], string>> = {
  // READ WRITE would override a default_transaction_read_only that somebody has set on purpose
  'READ WRITE': 'ISOLATION LEVEL READ COMMITTED',
  'ISOLATION LEVEL REPEATABLE READ READ ONLY': 'ISOLATION LEVEL REPEATABLE READ READ ONLY',
};

/** Long enough for a slow handshake, short enough to be retried. */
const CONNECT_TIMEOUT = 10_000;
const CANCEL_TIMEOUT = 5_000;

/** One database and the pool of sessions to it. Its errors are {@link DatakitError}s that name it. */
export class Database {
  readonly label: string;
  readonly url: string;
  readonly #pool: Pool;

  constructor({ label, url, poolSize }: DatabaseOptions) {
    this.label = label;
    this.url = url;
    this.#pool = new Pool({
      connectionString: url,
      max: poolSize,
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      idleTimeoutMillis: 30_000,
      stream: () => new LendingSocket(),
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      application_name: 'datakit-postgres-extractor',
    });
    // an idle session that the server ends is replaced at the next use; without a listener it would end the worker
    this.#pool.on('error', () => undefined);
  }

  /**
   * Runs work in one transaction on a session of its own.
   *
   * When the work fails or the signal aborts, what the session still does is cancelled on the
   * server, and the session is closed: a COPY that was given up half-way poisons its connection.
   */
  async transaction<T>(options: TransactionOptions, work: (session: Session) => Promise<T>): Promise<T> {
    try {
      options.signal?.throwIfAborted();
      return await this.#withSession(options.signal, async (session) => {
        await session.query(`BEGIN ${beginModes[options.mode]}; ${settingsStatement(options)}`);
        const result = await work(session);
        await session.query('COMMIT');
        return result;
      });
    } catch (error) {
      options.signal?.throwIfAborted();
      throw serverFailure(error, this.label);
    }
  }

  async close(): Promise<void> {
    await this.#pool.end();
  }

  async #withSession<T>(signal: AbortSignal | undefined, work: (session: Session) => Promise<T>): Promise<T> {
    const client = await this.#pool.connect();
    const session = new Session(client, signal);
    let cancelled: Promise<void> | undefined;
    const onAbort = () => void (cancelled ??= this.#cancel(session));
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      return await work(session);
    } catch (error) {
      cancelled ??= this.#cancel(session);
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      // a cancel request under way must not meet the next user of the session
      await cancelled;
      session.release(cancelled === undefined ? 'keep' : 'close');
    }
  }

  /** Cancels from another connection, since a session in a COPY listens to nothing. Best effort: it may be gone. */
  async #cancel(session: Session): Promise<void> {
    if (!session.isBusy) return;
    const client = new Client({ connectionString: this.url, connectionTimeoutMillis: CANCEL_TIMEOUT });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('SELECT pg_cancel_backend($1)', [session.processId]);
    } catch {
      // the socket is closed next, which ends the session as soon as the server writes to it
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}
