import { setTimeout as sleep } from 'node:timers/promises';
import { Client, DatabaseError } from 'pg';
import type { Bench } from './bench.ts';
import { describeCase } from './cases.ts';
import { execute, query } from './execute.ts';
import { allPeers } from './peers/all-peers.ts';
import type { SourceTable } from './peers/peer.ts';
import type { Section, SeenByReaders } from './result.ts';
import { say } from './say.ts';
import { ourselves, peerSubjects, type Subject } from './subjects.ts';
import { timed } from './timed.ts';

/** Points at which the replacing processes are killed, as fractions of the duration of a replace. */
const KILLED_AT = [0.4, 0.6, 0.8];
const BETWEEN_READS_MS = 5;
/** SQLSTATEs of a table that is not there, and of one that was dropped while the query was being planned. */
const NO_TABLE = new Set(['42P01', 'XX000']);

/** All peers except two pandas methods, which expose partial rows just as the chunked one does. */
const watched = allPeers
  .map(({ name }) => name)
  .filter((name) => name !== 'pandas: cursor' && name !== 'pandas: parallel');

/** Measures what readers of the target see during a replace, and after a SIGKILL in the middle of one. */
export async function readers(bench: Bench): Promise<Section> {
  const { stack, options } = bench;
  const rows = options.rows ?? 200_000;
  await execute(
    stack.sourceUrl,
    `CREATE TABLE readings AS SELECT i AS id, 1 AS generation, md5(i::text) || md5((-i)::text) AS note FROM generate_series(1, ${rows}) i`,
  );
  const { tables } = await describeCase(stack.sourceUrl, 'readings', ['readings']);
  const { ready, leftOut } = await bench.peers(watched);
  const subjects = [await ourselves(stack), ...(await peerSubjects(stack, ready))];
  const entries: SeenByReaders[] = [];
  const generations = new Generations(stack.sourceUrl);
  for (const subject of subjects) {
    try {
      entries.push(await watch(subject, tables, rows, generations));
    } catch (error) {
      leftOut[subject.name] = error instanceof Error ? error.message : String(error);
    }
    await subject.close();
  }
  return {
    kind: 'readers',
    title: 'What readers of the target see',
    about: `A table of ${rows.toLocaleString('en-US')} rows is replaced by a new generation of its rows while a reader counts them every ${BETWEEN_READS_MS} ms. Then the tool is killed with SIGKILL in the middle of a replace, ${KILLED_AT.length} times.`,
    entries,
    leftOut,
  };
}

/** Gives each run a new generation of rows to copy. */
class Generations {
  readonly #url: string;
  #current = 1;

  constructor(url: string) {
    this.#url = url;
  }

  async next(): Promise<number> {
    this.#current += 1;
    await execute(this.#url, `UPDATE readings SET generation = ${this.#current}`);
    await execute(this.#url, 'VACUUM readings');
    return this.#current;
  }
}

async function watch(
  subject: Subject,
  tables: readonly SourceTable[],
  rows: number,
  generations: Generations,
): Promise<SeenByReaders> {
  const copy = async () => (await subject.prepare(tables))();
  await (
    await copy()
  ).done;
  const before = await tablesOf(subject.warehouseUrl);
  await generations.next();
  const reader = await Reader.start(subject, rows);
  const { milliseconds } = await timed(async () => (await copy()).done);
  const { seen, blocked } = await reader.stop();
  const afterKill: Record<string, number> = {};
  const leftBehind = new Set<string>();
  for (const share of KILLED_AT) {
    await generations.next();
    const started = await copy();
    const ended = started.done.then(
      () => true,
      () => false,
    );
    await sleep(milliseconds * share);
    await started.kill();
    const finished = await Promise.race([ended, sleep(0).then(() => false)]);
    if (finished) continue;
    await othersAreGone(subject.warehouseUrl);
    const state = await stateOf(subject, rows);
    afterKill[state] = (afterKill[state] ?? 0) + 1;
    for (const table of await tablesOf(subject.warehouseUrl)) {
      if (!before.includes(table)) leftBehind.add(table.replaceAll(/\d+/g, '…'));
    }
    // the next kill must not be judged by what this one left behind
    if (state !== 'whole') await (await copy()).done;
  }
  say(`  ${subject.name}: ${JSON.stringify(seen)}, killed: ${JSON.stringify(afterKill)}`);
  return {
    subject: subject.name,
    ...seen,
    blocked: blocked / 1000,
    seconds: milliseconds / 1000,
    afterKill,
    leftBehind: [...leftBehind],
  };
}

type Seen = Pick<SeenByReaders, 'missing' | 'empty' | 'partial' | 'mixed' | 'whole'>;

/** A session that reads the target continuously. */
class Reader {
  readonly #seen: Record<keyof Seen, number> = { missing: 0, empty: 0, partial: 0, mixed: 0, whole: 0 };
  readonly #client: Client;
  #blocked = 0;
  #stopped = false;
  #reading: Promise<void> = Promise.resolve();

  private constructor(client: Client) {
    this.#client = client;
  }

  static async start(subject: Subject, rows: number): Promise<Reader> {
    const client = new Client(subject.warehouseUrl);
    await client.connect();
    const reader = new Reader(client);
    reader.#reading = reader.#readOn(subject, rows);
    return reader;
  }

  async stop(): Promise<{ seen: Seen; blocked: number }> {
    this.#stopped = true;
    await this.#reading;
    await this.#client.end();
    return { seen: this.#seen, blocked: this.#blocked };
  }

  async #readOn(subject: Subject, rows: number): Promise<void> {
    while (!this.#stopped) {
      const began = performance.now();
      this.#seen[await read(this.#client, subject, rows)] += 1;
      this.#blocked = Math.max(this.#blocked, performance.now() - began);
      await sleep(BETWEEN_READS_MS);
    }
  }
}

async function read(client: Client, subject: Subject, rows: number): Promise<keyof Seen> {
  try {
    const answer = await client.query<{ count: string; generations: number }>(
      `SELECT count(*) AS count, CASE WHEN min(generation) = max(generation) THEN 1 ELSE 2 END AS generations FROM ${subject.target('readings')}`,
    );
    const count = Number(answer.rows[0]?.count);
    if (count === 0) return 'empty';
    if (answer.rows[0]?.generations !== 1) return 'mixed';
    return count === rows ? 'whole' : 'partial';
  } catch (error) {
    if (error instanceof DatabaseError && NO_TABLE.has(error.code ?? '')) return 'missing';
    throw error;
  }
}

async function stateOf(subject: Subject, rows: number): Promise<keyof Seen> {
  const client = new Client(subject.warehouseUrl);
  await client.connect();
  try {
    return await read(client, subject, rows);
  } finally {
    await client.end();
  }
}

/** Waits for other sessions to end: a backend notices that its client was killed when it next reads or writes. */
async function othersAreGone(url: string): Promise<void> {
  for (let look = 0; look < 300; look += 1) {
    const [row] = await query<{ count: string }>(
      url,
      `SELECT count(*) AS count FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'`,
    );
    if (row?.count === '0') return;
    await sleep(100);
  }
}

/** Lists tables, without partitions. */
async function tablesOf(url: string): Promise<string[]> {
  const rows = await query<{ name: string }>(
    url,
    `SELECT oid::regclass::text AS name FROM pg_class
      WHERE relkind IN ('r', 'p') AND NOT relispartition
        AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)`,
  );
  return rows.map(({ name }) => name);
}
