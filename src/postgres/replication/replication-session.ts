import type { Submittable } from 'pg';
import { applicationName } from '../application-name.ts';
import type { DatabaseClient } from '../connect.ts';
import type { Database } from '../database.ts';
import { quoteName } from '../identifiers.ts';
import { serverFailure } from '../server-failure.ts';
import { keepAliveSettings, TRANSACTION_TIMEOUT_SINCE, valueSettings } from '../session-settings.ts';
import type { SystemIdentity } from '../system-identity.ts';

/** No timeout may end this session, which holds a snapshot or streams. */
const sessionSettings: Readonly<Record<string, string>> = {
  ...valueSettings,
  // for while it holds a snapshot; a stream has wal_sender_timeout
  ...keepAliveSettings,
  // so that names of objects (regclass and the like) are written with their schema
  search_path: '',
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
};

export interface CreatedSlot {
  /** Every transaction that commits from here on is sent; all earlier ones are in the snapshot. */
  readonly consistentPoint: string;
  /** Can be imported by other sessions until the next command of this one. */
  readonly snapshotId: string;
}

/**
 * A session of the replication protocol: one walsender of the source.
 * See https://www.postgresql.org/docs/current/protocol-replication.html.
 */
export class ReplicationSession implements AsyncDisposable {
  readonly #client: DatabaseClient;
  readonly #label: string;
  readonly #signal: AbortSignal;
  #lost: Error | undefined;

  private constructor(client: DatabaseClient, label: string, signal: AbortSignal) {
    this.#client = client;
    this.#label = label;
    this.#signal = signal;
    client.on('error', (error) => (this.#lost ??= error));
    client.on('end', () => (this.#lost ??= new Error('Connection terminated unexpectedly')));
    signal.addEventListener('abort', this.#hangUp, { once: true });
  }

  /** @param signal once it has aborted, the session is closed, whatever it waits for */
  static async open(database: Database, runId: string, signal: AbortSignal): Promise<ReplicationSession> {
    const client = await database.connect({
      replication: 'database',
      application_name: applicationName(runId),
      options: Object.entries(sessionSettings).map(startupOption).join(' '),
    });
    const session = new ReplicationSession(client, database.label, signal);
    try {
      signal.throwIfAborted();
      await session.#outlastTransactions();
      return session;
    } catch (error) {
      await session[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Why the connection was lost, if it was. */
  get lost(): Error | undefined {
    return this.#lost;
  }

  /** The encoding of the database, such as `UTF8`, in which the contents of messages are sent. */
  get encoding(): string {
    return this.#client.encoding;
  }

  async identify(): Promise<SystemIdentity> {
    const row = await this.#command<{ systemid: string; timeline: string | number }>('IDENTIFY_SYSTEM');
    return { systemId: row.systemid, timeline: Number(row.timeline) };
  }

  /** Returns the position at which the server left each earlier timeline, by its number. */
  async timelineHistory(timeline: number): Promise<ReadonlyMap<number, string>> {
    if (timeline === 1) return new Map();
    const { content } = await this.#command<{ content: Buffer | string }>(`TIMELINE_HISTORY ${timeline}`);
    const lines = content.toString().matchAll(/^\s*(\d+)\s+([0-9A-F]+\/[0-9A-F]+)/gim);
    return new Map([...lines].map(([, number, lsn]) => [Number(number), lsn ?? '0/0']));
  }

  /**
   * Creates a logical slot for pgoutput and exports the snapshot at its beginning.
   *
   * Waits for every writing transaction that is open when it begins. A temporary slot ends with this session.
   */
  async createSlot(name: string, life: 'permanent' | 'temporary'): Promise<CreatedSlot> {
    const temporary = life === 'temporary' ? ' TEMPORARY' : '';
    const row = await this.#command<{ consistent_point: string; snapshot_name: string }>(
      `CREATE_REPLICATION_SLOT ${quoteName(name)}${temporary} LOGICAL pgoutput EXPORT_SNAPSHOT`,
    );
    return { consistentPoint: row.consistent_point, snapshotId: row.snapshot_name };
  }

  /** Lets standbys synchronize a slot, if none streams from it. Versions before 17 do not know the command. */
  async enableFailover(slot: string): Promise<void> {
    await this.#client.query(`ALTER_REPLICATION_SLOT ${quoteName(slot)} (FAILOVER true)`);
  }

  /** Starts a stream; it ends with the session. */
  start<Stream extends Submittable>(stream: Stream): Stream {
    return this.#client.query(stream);
  }

  /** Closes the connection, whatever the server is doing: a streaming walsender ignores a goodbye. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#hangUp);
    const { stream } = this.#client.connection;
    const ended = new Promise<void>((resolve) => stream.once('close', resolve));
    if (stream.destroyed) return;
    stream.destroy();
    await ended;
  }

  readonly #hangUp = (): void => {
    this.#client.connection.stream.destroy();
  };

  /** Lifts the timeout for transactions, which hold snapshots. As an option, versions before 17 would refuse it. */
  async #outlastTransactions(): Promise<void> {
    if (this.#client.majorVersion < TRANSACTION_TIMEOUT_SINCE) return;
    await this.#command(`SELECT set_config('transaction_timeout', '0', false)`);
  }

  async #command<Row extends object>(text: string): Promise<Row> {
    try {
      const { rows } = await this.#client.query<Row>(text);
      const [row] = rows;
      if (row === undefined) throw new Error(`${text} answered with no row`);
      return row;
    } catch (error) {
      this.#signal.throwIfAborted();
      throw serverFailure(error, this.#label);
    }
  }
}

/** Formats `-c name=value`, escaping blanks and backslashes as the server requires: see PQconnectdb, `options`. */
function startupOption([name, value]: readonly [string, string]): string {
  return `-c ${name}=${value.replaceAll(/[\\ ]/g, String.raw`\$&`)}`;
}
