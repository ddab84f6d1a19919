import { setTimeout as sleep } from 'node:timers/promises';
import { DatabaseError, type QueryResult, type QueryResultRow, type Submittable } from 'pg';
import { DatakitError } from '../contract/failures.ts';
import type { Cancellable } from './cancel-request.ts';
import type { DatabaseClient } from './connect.ts';
import { serverFailure } from './server-failure.ts';
import type { Lease } from './session-pool.ts';
import { Settleable } from './settleable.ts';

/** A COPY that is under way. */
interface Copy extends Submittable {
  /** Settles when the server has answered. */
  readonly rows: Promise<number>;
  /** Wants no further data, or has none. */
  discard(): void;
}

/** A session of a pool, inside a transaction. */
export class Session {
  readonly #label: string;
  readonly #lease: Lease;
  readonly #client: DatabaseClient;
  readonly #signal: AbortSignal | undefined;
  #running = 0;
  #answered: Promise<unknown> = Promise.resolve();
  #lastBegan = 0;
  #lost: Error | undefined;

  /** How long a statement of the transaction may take, in milliseconds; 0 if as long as it needs. */
  statementTimeout = 0;

  /**
   * @param label whose session it is: `source "default"`, `warehouse`
   * @param signal once it has aborted, no further statement is started
   */
  constructor(label: string, lease: Lease, signal?: AbortSignal) {
    const { client } = lease;
    this.#label = label;
    this.#lease = lease;
    this.#client = client;
    this.#signal = signal;
    client.on('error', this.#onError);
    client.on('end', this.#onEnd);
  }

  /** The server's id of this session, and the key to cancel what it does. */
  get cancellable(): Cancellable {
    const { processID, secretKey } = this.#client;
    if (processID === null || secretKey === null) throw new Error('the server has not named its session');
    return { processId: processID, secretKey };
  }

  /** 17 for 17.5. */
  get majorVersion(): number {
    return this.#client.majorVersion;
  }

  /** The encoding of the database, such as `UTF8`. */
  get encoding(): string {
    return this.#client.encoding;
  }

  /** True if the server may still be working for this session. */
  get isBusy(): boolean {
    return this.#running > 0 && this.#lost === undefined;
  }

  /** Waits until the server has answered the last statement, but no longer than some milliseconds. */
  async answered(within: number): Promise<void> {
    await Promise.race([this.#answered, sleep(within, undefined, { ref: false })]);
  }

  /** Why the connection was lost, if it was: for an idle session this is the only way to learn of it. */
  get lost(): Error | undefined {
    return this.#lost;
  }

  /**
   * If the signal aborts, the answer is not waited for: a server that hangs never gives one.
   *
   * @throws {DatakitError} the failure of the server or of the connection, naming whose session it was
   */
  async query<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]> {
    const [result] = await this.#results<Row>(text, values);
    return result?.rows ?? [];
  }

  /** Like {@link query}, for statements that are sent together. Returns the rows of each. */
  async queryAll<Row extends QueryResultRow>(statements: readonly string[]): Promise<Row[][]> {
    return (await this.#results<Row>(statements.join(';\n'))).map(({ rows }) => rows);
  }

  async #results<Row extends QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<QueryResult<Row>[]> {
    this.#signal?.throwIfAborted();
    this.#lastBegan = performance.now();
    // several results if the text has several statements
    const answer: Promise<QueryResult<Row> | QueryResult<Row>[]> = this.#client.query<Row>(
      text,
      values === undefined ? undefined : [...values],
    );
    this.#awaits(answer);
    try {
      return [await unlessAborted(this.#signal, answer)].flat();
    } catch (error) {
      this.#signal?.throwIfAborted();
      // if the server ended the session while idle, it said why then; the driver now says only that it is gone
      throw this.failureOf(this.#lost ?? error);
    }
  }

  /**
   * Returns what it means that the last statement failed. A server says in its own language whether a statement was
   * cancelled or took too long, and gives both the same SQLSTATE; how long it took tells it in any language.
   */
  failureOf(error: unknown): DatakitError {
    const took = performance.now() - this.#lastBegan;
    const failure = serverFailure(error, this.#label);
    const isTimeout = this.statementTimeout > 0 && took >= this.statementTimeout;
    if (failure.kind !== 'StatementCancelled' || !isTimeout) return failure;
    return new DatakitError('StatementTimeout', failure.message, { cause: failure.cause });
  }

  /**
   * Like {@link query}, for a statement that returns one row.
   *
   * @throws {DatakitError} Unexpected if it returns none, besides what {@link query} throws
   */
  async one<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row> {
    const [row] = await this.query<Row>(text, values);
    if (row === undefined)
      throw new DatakitError('Unexpected', `${this.#label}: the statement returned no row`);
    return row;
  }

  /** Starts a COPY, which ends if `use` fails. If the signal aborts, `use` is not waited for. */
  async copy<C extends Copy, T>(copy: C, use: (copy: C) => Promise<T>): Promise<T> {
    this.#signal?.throwIfAborted();
    this.#lastBegan = performance.now();
    this.#client.query(copy);
    this.#awaits(copy.rows);
    try {
      return await unlessAborted(this.#signal, use(copy));
    } catch (error) {
      copy.discard();
      throw error instanceof DatabaseError ? this.failureOf(error) : error;
    }
  }

  /** @param answer settles once the server has answered, or is lost */
  #awaits(answer: Promise<unknown>): void {
    this.#running += 1;
    const ended = (): void => void (this.#running -= 1);
    this.#answered = answer.then(ended, ended);
  }

  /**
   * Runs work that involves users' SQL with the search path of the role: conditions, and tables and views whose
   * policies and functions may rely on it. Elsewhere the path is empty; functions called here must be qualified.
   *
   * Afterwards all settings changed during the work are undone, whoever changed them, and its locks are released.
   *
   * @param settings further settings for the work, as SQL
   */
  async withRolePath<T>(work: () => Promise<T>, settings: readonly string[] = []): Promise<T> {
    await this.query(['SAVEPOINT role_path', 'SET LOCAL search_path TO DEFAULT', ...settings].join('; '));
    const result = await work();
    await this.query('ROLLBACK TO SAVEPOINT role_path; RELEASE SAVEPOINT role_path');
    return result;
  }

  release(what: 'keep' | 'close'): void {
    this.#client.off('error', this.#onError);
    this.#client.off('end', this.#onEnd);
    // if the socket failed while closing, the error would be uncaught
    if (what === 'close') this.#client.on('error', () => undefined);
    this.#lease.giveBack(this.#lost === undefined ? what : 'close');
  }

  readonly #onError = (error: Error): void => {
    this.#lost ??= error;
  };

  readonly #onEnd = (): void => {
    this.#lost ??= new Error('Connection terminated unexpectedly');
  };
}

async function unlessAborted<T>(signal: AbortSignal | undefined, work: Promise<T>): Promise<T> {
  if (signal === undefined) return work;
  const aborted = new Settleable<never>();
  const onAbort = () => aborted.reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
