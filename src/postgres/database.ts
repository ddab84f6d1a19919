import { DatakitError } from '../contract/failures.ts';
import { durationOfSetting } from '../contract/quantities.ts';
import { endEarlierAttempts, showAttempt, type AttemptOfRun } from './attempt-lock.ts';
import { applicationName } from './application-name.ts';
import { requestCancel } from './cancel-request.ts';
import { connect, type DatabaseClient } from './connect.ts';
import { addressOf, type ConnectionSettings, type PoolSettings } from './connection-settings.ts';
import type { ClientConfig } from './driver.ts';
import { namingLimit } from './limit-failure.ts';
import { ownWords, serverFailure, sqlStateOf } from './server-failure.ts';
import { SessionPool, type Lease } from './session-pool.ts';
import { Session } from './session.ts';
import { COMMIT_TO_DISK, settingsStatement, type SessionLimits } from './session-settings.ts';
import { COMMIT_PATIENCE, findStandbyWait } from './standby-wait.ts';

export interface DatabaseOptions {
  /** For messages: `source "default"`, `warehouse`. */
  readonly label: string;
  readonly settings: ConnectionSettings;
  /** Overrides the pool of the settings. */
  readonly pool?: PoolSettings;
  /** Says more of a failure of this database in a transaction. */
  readonly explain?: (failure: DatakitError) => DatakitError;
  /** Told what a commit waits for, if that takes long, and undefined once it no longer does. */
  readonly onWaiting?: (waiting: string | undefined) => void;
}

/** One that names an attempt ends the sessions of earlier ones that write to this database, before it writes itself. */
export interface TransactionOptions extends SessionLimits, AttemptOfRun {
  /** Cancels the work on the server, not only here. */
  readonly signal?: AbortSignal;
}

/** Always sets the isolation level, since roles and databases may have their own defaults. */
const READ_ONLY = 'ISOLATION LEVEL REPEATABLE READ READ ONLY';

/**
 * After waiting for a lock, a statement must see what was committed in between. Leaves out READ WRITE, which would
 * override a `default_transaction_read_only` that somebody has set on purpose.
 */
const WRITE = 'ISOLATION LEVEL READ COMMITTED';

/**
 * A server ignores a request to cancel that comes before it has read the statement, so one that does not answer is asked
 * again, after a pause that grows. In milliseconds.
 */
const FIRST_PAUSE = 100;
const CANCEL_FOR = 1_500;

/** SQLSTATEs for a setting that is unknown to this version, out of range, or not allowed for this role. */
const REFUSED_SETTING = new Set(['42704', '22023', '42501', '55P02', '0A000']);

/** One database and its session pool. Its errors are {@link DatakitError}s that name the database. */
export class Database {
  readonly label: string;
  readonly #settings: ConnectionSettings;
  readonly #pool: SessionPool;
  readonly #explain: (failure: DatakitError) => DatakitError;
  readonly #onWaiting: (waiting: string | undefined) => void;

  constructor({
    label,
    settings,
    pool,
    explain = (failure) => failure,
    onWaiting = () => undefined,
  }: DatabaseOptions) {
    this.label = label;
    this.#settings = settings;
    this.#explain = explain;
    this.#onWaiting = onWaiting;
    this.#pool = new SessionPool(label, settings, pool);
  }

  /** Host as the environment names it, or `localhost` for a Unix socket; for display and as the origin of rows. */
  get host(): string {
    const { host } = this.#settings;
    return host.startsWith('/') ? 'localhost' : host;
  }

  /**
   * Opens a session outside the pool, for long-lived use such as replication. The caller ends it.
   *
   * @param more further options of the driver: `{ replication: 'database' }`
   */
  async connect(more?: ClientConfig): Promise<DatabaseClient> {
    try {
      return await connect(this.#settings, more);
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /**
   * Runs work in one read-only transaction, all of whose statements see the same snapshot. See {@link write}.
   *
   * @throws {DatakitError} InvalidInput if something that is read tries to write
   */
  async read<T>(options: TransactionOptions, work: (session: Session) => Promise<T>): Promise<T> {
    try {
      return await this.#transaction(READ_ONLY, options, work);
    } catch (error) {
      throw error instanceof DatakitError && this.#isOurs(error) ? asInput(error) : error;
    }
  }

  /**
   * Runs work in one transaction on a session of its own, in which each statement sees what was committed before it.
   *
   * If the work fails or the signal aborts, whatever the session is still doing is cancelled on the
   * server, and the session is closed: an abandoned COPY leaves its connection unusable.
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
        await this.#commit(session);
        return result;
      });
    } catch (error) {
      options.signal?.throwIfAborted();
      const failure = this.#failure(error);
      throw this.#isOurs(failure) ? this.#explain(namingLimit(failure, options)) : failure;
    }
  }

  #failure(error: unknown): DatakitError {
    return serverFailure(error, this.label, addressOf(this.#settings));
  }

  /** Returns true if the failure is of this database: failures of another one pass through here too. */
  #isOurs({ message }: DatakitError): boolean {
    return message.startsWith(`${this.label}: `);
  }

  /** Begins the transaction. If a setting is refused here, it is one that the input asked for. */
  async #begin(session: Session, mode: string, options: TransactionOptions): Promise<void> {
    const settings = settingsStatement(options, session.majorVersion);
    const first = mode === WRITE ? [COMMIT_TO_DISK, ...showAttempt(this.label, options)] : [];
    try {
      const answers = await session.queryAll<{ statement_timeout: string }>([
        `BEGIN ${mode}`,
        settings,
        ...first,
        'SHOW statement_timeout', // unlike SELECT it takes no snapshot, so that another can be imported
      ]);
      session.statementTimeout = durationOfSetting(answers.at(-1)?.[0]?.statement_timeout ?? '0');
      if (mode === WRITE) await endEarlierAttempts(session, this.label, options);
    } catch (error) {
      const refused = options.settings !== undefined && REFUSED_SETTING.has(sqlStateOf(error) ?? '');
      if (!refused || !(error instanceof Error)) throw error;
      throw new DatakitError(
        'InvalidInput',
        `${this.label} refused a setting of "session": ${ownWords(error)}`,
        { cause: error },
      );
    }
  }

  async #commit(session: Session): Promise<void> {
    const done = new AbortController();
    const look = setTimeout(() => void this.#tellWait(session, done.signal), COMMIT_PATIENCE);
    try {
      await session.query('COMMIT');
    } finally {
      clearTimeout(look);
      done.abort();
    }
  }

  /** Looks from a session outside of the pool, whose own sessions may all be waiting. */
  async #tellWait(session: Session, done: AbortSignal): Promise<void> {
    try {
      const { processId } = session.cancellable;
      const waiting = await findStandbyWait(await this.connect(), processId);
      if (waiting === undefined || done.aborted) return;
      this.#onWaiting(`${this.label}: ${waiting}`);
      done.addEventListener('abort', () => this.#onWaiting(undefined));
    } catch {
      // the commit goes on, or its failure says why not
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
      // a cancel request in flight must not hit the next user of the session
      await cancelled;
      session.release(cancelled === undefined ? 'keep' : 'close');
    }
  }

  /**
   * Cancels from another connection, since a session in a COPY does not listen. Never rejects: the session is closed
   * next in any case, even if the request cannot be made, for example because a certificate cannot be read.
   */
  async #cancel(session: Session, { way }: Lease): Promise<void> {
    try {
      const until = performance.now() + CANCEL_FOR;
      for (let pause = FIRST_PAUSE; session.isBusy && performance.now() < until; pause *= 2) {
        await requestCancel(this.#settings, way, session.cancellable);
        await session.answered(pause);
      }
    } catch {
      // the caller should learn why the work ended, not why the cancel request failed
    }
  }
}

/** Reports ReadOnlyServer as InvalidInput: in a read-only transaction it means that something that is read writes. */
function asInput(failure: DatakitError): DatakitError {
  if (failure.kind !== 'ReadOnlyServer') return failure;
  return new DatakitError(
    'InvalidInput',
    `${failure.message}: something that this run reads tries to write: a function called in "where", a view or a policy`,
    { cause: failure.cause },
  );
}
