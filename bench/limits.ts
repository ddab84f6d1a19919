import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { LocalStack } from '../local/stack.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../local/temporary-directory.ts';
import { benchColumns } from './bench-table.ts';
import type { Bench } from './bench.ts';
import { eventsCase } from './cases.ts';
import { startCommand } from './command.ts';
import { execute } from './execute.ts';
import type { Section } from './result.ts';
import { ourselves } from './subjects.ts';
import { measuredWays, takeTurns, type Way } from './take-turns.ts';

/** Parts of the table, by key range, each copied by a session of its own. */
const PARTS = 4;

interface ByHand {
  readonly name: string;
  /** SQL that prepares the warehouse. */
  readonly target: string;
  /** Command of each session, which sets $part, $low and $high. */
  readonly each: string;
  readonly parts: number;
}

const oneHeap = `DROP TABLE IF EXISTS landed; CREATE TABLE landed (${benchColumns})`;
const heaps = (kind = ''): string =>
  Array.from(
    { length: PARTS },
    (_, part) => `DROP TABLE IF EXISTS landed_${part}; CREATE ${kind} TABLE landed_${part} (${benchColumns})`,
  ).join(';');

const read =
  'psql "$SOURCE" -qXc "COPY (SELECT * FROM events WHERE id >= $low AND id < $high) TO STDOUT (FORMAT binary)"';
const write = (table: string, before = '', options = ''): string =>
  `psql "$WAREHOUSE" -1qX -v ON_ERROR_STOP=1 -c "SET synchronous_commit = on" ${before === '' ? '' : `-c "${before}"`} -c "COPY ${table} FROM STDIN (FORMAT binary${options})"`;
const file = '< "$WORK/part_$part"';

const byHand: readonly ByHand[] = [
  { name: 'read alone, one session', target: oneHeap, each: `${read} > /dev/null`, parts: 1 },
  { name: 'read alone, four sessions', target: oneHeap, each: `${read} > /dev/null`, parts: PARTS },
  { name: 'write alone, one session', target: oneHeap, each: `${write('landed')} < "$WORK/whole"`, parts: 1 },
  { name: 'write alone, four sessions, one table', target: oneHeap, each: `${write('landed')} ${file}`, parts: PARTS },
  { name: 'write alone, four tables', target: heaps(), each: `${write('landed_$part')} ${file}`, parts: PARTS },
  {
    name: 'write alone, four tables, FREEZE',
    target: heaps(),
    each: `${write('landed_$part', 'TRUNCATE landed_$part', ', FREEZE')} ${file}`,
    parts: PARTS,
  },
  { name: 'write alone, four tables, WAL compressed', target: heaps(), each: `PGOPTIONS='-c wal_compression=pglz' ${write('landed_$part')} ${file}`, parts: PARTS },
  { name: 'write alone, four tables without WAL', target: heaps('UNLOGGED'), each: `${write('landed_$part')} ${file}`, parts: PARTS },
  { name: 'psql | psql, one session', target: oneHeap, each: `${read} | ${write('landed')}`, parts: 1 },
  { name: 'psql | psql, four sessions, one table', target: oneHeap, each: `${read} | ${write('landed')}`, parts: PARTS },
  { name: 'psql | psql, four sessions, four tables', target: heaps(), each: `${read} | ${write('landed_$part')}`, parts: PARTS },
]; // prettier-ignore

/** Measures reading, writing and both with the servers' own COPY, which shows how much could still be saved. */
export async function limits({ stack, options }: Bench): Promise<Section> {
  const copied = await eventsCase(stack.sourceUrl, options.rows ?? 1_000_000);
  const work = await makeTemporaryDirectory('limits');
  const ours = await ourselves(stack);
  const psql = scripts(stack, work, copied.rows);
  for (const [name, parts] of [['part_$part', PARTS], ['whole', 1]] as const) {
    const start = await psql({ name: 'files', target: oneHeap, each: `${read} > "$WORK/${name}"`, parts }).prepare();
    await start().done;
  } // prettier-ignore
  const own = 'datakit-postgres, parallelism 4';
  const run: Way = { name: own, workers: ours.workers, prepare: async () => ours.prepare(copied.tables) };
  const samples = await takeTurns(stack, [...byHand.map(psql), run], { rounds: options.rounds ?? 3 });
  await ours.close();
  await removeTemporaryDirectory(work);
  return {
    kind: 'times',
    title: 'Where the limit is',
    about:
      'Reading alone, writing alone, and both, with nothing but `COPY` and psql. The target tables are created before; what is written alone comes from a file.',
    base: 'psql | psql, one session',
    entries: measuredWays(samples, { case: 'events', rows: copied.rows, bytes: copied.bytes }),
  };
}

const scripts =
  ({ sourceUrl, warehouseUrl }: LocalStack, work: string, rows: number) =>
  ({ name, target, each, parts }: ByHand): Way => ({
    name,
    workers: [],
    async prepare() {
      await execute(warehouseUrl, target);
      const directory = await mkdtemp(join(work, 'run-'));
      const env = { SOURCE: sourceUrl, WAREHOUSE: warehouseUrl, WORK: work };
      return () =>
        startCommand({ program: 'bash', args: ['-c', sessions(rows, parts, each)], env }, directory);
    },
  });

/** Builds a script that runs concurrent sessions, each with its own range of keys. */
function sessions(rows: number, parts: number, each: string): string {
  const step = Math.ceil((rows + 1) / parts);
  const all = Array.from(
    { length: parts },
    (_, part) =>
      `(set -o pipefail; part=${part}; low=${part * step}; high=${(part + 1) * step}; ${each}) & pids="$pids $!"`,
  );
  return `${all.join('\n')}\nfor pid in $pids; do wait "$pid" || exit; done`;
}
