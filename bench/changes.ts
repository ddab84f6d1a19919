import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { LocalStack } from '../local/stack.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../local/temporary-directory.ts';
import type { Bench } from './bench.ts';
import { startCommand } from './command.ts';
import { execute, query } from './execute.ts';
import { Extractor } from './extractor.ts';
import { commitTimesAreKept, measureLag } from './lag.ts';
import { allChanges, loads, makeTables, type Load } from './loads.ts';
import type { Measured, Section } from './result.ts';
import { say } from './say.ts';
import { median } from './statistics.ts';
import { measuredWays, takeTurns, type Way } from './take-turns.ts';

const REFERENCE = 'bench_reference';

/** Reads the same changes from a slot into a file with pg_recvlogical and into bronze; then measures the lag. */
export async function changes({ stack, options }: Bench): Promise<Section> {
  await commitTimesAreKept(stack);
  await makeTables(stack.sourceUrl);
  const directory = await makeTemporaryDirectory('changes');
  const extractor = await Extractor.start(stack);
  const caughtUp = async () =>
    (await extractor.start('captureChanges', { ...allChanges, until: 'caught-up' })).result();
  await caughtUp();
  await execute(stack.sourceUrl, `SELECT pg_create_logical_replication_slot('${REFERENCE}', 'pgoutput')`);
  const received = new Received(stack.sourceUrl, directory);
  const ours: Way = {
    name: 'datakit-postgres',
    workers: [extractor.worker.pid],
    prepare: async () => () => ({ roots: [], done: caughtUp() }),
  };
  const entries: Measured[] = [];
  for (const load of loads(options.rows ?? 1_000_000, options.rounds ?? 5)) {
    entries.push(...(await compare(stack, load, received, ours)));
  }
  // a slot without a reader would retain WAL
  await execute(stack.sourceUrl, `SELECT pg_drop_replication_slot('${REFERENCE}')`);
  const lag = await measureLag(stack, extractor);
  await extractor.stop();
  await removeTemporaryDirectory(directory);
  return {
    kind: 'changes',
    title: 'Changes',
    about:
      '`pg_recvlogical` writes the changes of a slot to a file, and `captureChanges` writes the same changes to bronze, in turn. Rows are changes, and bytes are WAL of the source.',
    base: received.name,
    entries,
    lag,
  };
}

async function compare(stack: LocalStack, load: Load, received: Received, ours: Way): Promise<Measured[]> {
  say(` ${load.name}`);
  const written: number[] = [];
  const before = async (round: number): Promise<void> => {
    const began = await position(stack.sourceUrl);
    await load.write(stack.sourceUrl, round);
    received.end = await position(stack.sourceUrl);
    written.push(await distance(stack.sourceUrl, began, received.end));
  };
  const samples = await takeTurns(stack, [ours, received], { ...load, before });
  return measuredWays(samples, { case: load.name, rows: load.changes, bytes: median(written) });
}

async function position(url: string): Promise<string> {
  const [row] = await query<{ lsn: string }>(url, 'SELECT pg_current_wal_lsn()::text AS lsn');
  return row?.lsn ?? '';
}

async function distance(url: string, from: string, to: string): Promise<number> {
  const [row] = await query<{ bytes: string }>(url, `SELECT pg_wal_lsn_diff('${to}', '${from}') AS bytes`);
  return Number(row?.bytes);
}

/** PostgreSQL's own client, which only writes what it receives to a file. */
class Received implements Way {
  readonly name = 'pg_recvlogical';
  readonly workers = [];
  /** LSN to stop reading at. */
  end = '';
  readonly #url: string;
  readonly #directory: string;

  constructor(url: string, directory: string) {
    this.#url = url;
    this.#directory = directory;
  }

  async prepare() {
    const directory = await mkdtemp(join(this.#directory, 'run-'));
    const args = [
      `--dbname=${this.#url}`,
      `--slot=${REFERENCE}`,
      `--endpos=${this.end}`,
      `--file=${join(directory, 'changes')}`,
      ...['proto_version=1', `publication_names=${allChanges.publication}`].map(
        (option) => `--option=${option}`,
      ),
    ];
    return () =>
      startCommand({ program: 'pg_recvlogical', args: ['--start', '--no-loop', ...args] }, directory);
  }
}
