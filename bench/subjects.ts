import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { LocalStack } from '../local/stack.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../local/temporary-directory.ts';
import type { ExtractTableRequest } from '../src/contract/extract-table.ts';
import { startCommand, type Started } from './command.ts';
import { execute, inDatabase } from './execute.ts';
import { Extractor } from './extractor.ts';
import type { ReadyPeers } from './peers/all-peers.ts';
import { columnList, inPublic, type Job, type SourceTable } from './peers/peer.ts';

/** Where to read and write: the servers themselves, or proxies in front of them. */
export interface Addresses {
  readonly sourceUrl: string;
  readonly warehouseUrl: string;
}

/** The thing being measured: this project or a peer, with its own database in the warehouse. */
export interface Subject {
  readonly name: string;
  readonly version: string;
  /** The database it writes to. */
  readonly warehouseUrl: string;
  /** Existing processes that work for it. */
  readonly workers: readonly number[];
  /** Does the work that precedes a run and is not measured; the returned function starts the run. */
  prepare(tables: readonly SourceTable[], through?: Addresses): Promise<() => Started>;
  /** Where the rows of a table land, as SQL. */
  target(table: string): string;
  close(): Promise<void>;
}

/** This project, with further inputs besides the name of the table. */
export async function ourselves(
  stack: LocalStack,
  options: Omit<ExtractTableRequest, 'table'> = { parallelism: 4 },
): Promise<Subject> {
  let extractor = await Extractor.start(stack);
  const killed: Extractor[] = [];
  return {
    name: 'datakit-postgres',
    version: 'this one',
    warehouseUrl: stack.warehouseUrl,
    get workers() {
      return [extractor.worker.pid];
    },
    target: (table) => `bronze."br_${table}"`,
    async prepare(tables, through) {
      // restarts a killed worker, as a supervisor would
      if (!extractor.running) {
        killed.push(extractor);
        extractor = await Extractor.start(stack);
      }
      const own = through === undefined;
      const by = own ? extractor : await Extractor.start(stack, { addresses: through, taskQueue: 'counted' });
      const run = async (): Promise<void> => {
        const [only] = tables;
        const names = tables.map(({ name }) => `public.${name}`);
        await (tables.length === 1 && only !== undefined
          ? by.table({ ...options, table: only.name })
          : by.database({ tables: names }));
        if (!own) await by.stop();
      };
      return () => ({
        roots: [by.worker.pid],
        done: run(),
        async kill() {
          by.worker.kill('SIGKILL');
          await by.worker.exited;
        },
      });
    },
    async close() {
      await Promise.all([extractor, ...killed].map(async (one) => one.stop()));
    },
  };
}

/** Each peer with its own database; `only` is asked before each run which rows to copy, if not all. */
export async function peerSubjects(
  stack: LocalStack,
  peers: ReadyPeers['ready'],
  only: () => Pick<Job, 'increment' | 'part'> = () => ({}),
): Promise<Subject[]> {
  const subjects: Subject[] = [];
  for (const [number, peer] of peers.entries()) {
    const database = `peer_${number + 1}`;
    const warehouseUrl = (await stack.warehouse?.createDatabase(database)) ?? '';
    const directory = await makeTemporaryDirectory('bench');
    subjects.push({
      name: peer.name,
      version: peer.version,
      warehouseUrl,
      workers: [],
      target: (table) => peer.target(table),
      async prepare(tables, through) {
        if (peer.needsTables) await makeTables(warehouseUrl, tables);
        const run = await mkdtemp(join(directory, 'run-'));
        const job: Job = {
          sourceUrl: through?.sourceUrl ?? stack.sourceUrl,
          warehouseUrl: through === undefined ? warehouseUrl : inDatabase(through.warehouseUrl, database),
          tables,
          directory: run,
          ...only(),
        };
        const command = await peer.command(job);
        return () => startCommand(command, run);
      },
      close: async () => removeTemporaryDirectory(directory),
    });
  }
  return subjects;
}

async function makeTables(url: string, tables: readonly SourceTable[]): Promise<void> {
  const statements = tables.map(
    (table) => `CREATE TABLE IF NOT EXISTS ${inPublic(table.name)} (${columnList(table)})`,
  );
  await execute(url, `SET client_min_messages = error; ${statements.join(';')}`);
}
