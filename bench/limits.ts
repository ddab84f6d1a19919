import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../local/temporary-directory.ts';
import { benchColumns } from './bench-table.ts';
import type { Bench } from './bench.ts';
import { eventsCase } from './cases.ts';
import { startCommand } from './command.ts';
import { execute } from './execute.ts';
import { measure } from './measure.ts';
import type { Measured, Sample, Section } from './result.ts';
import { say } from './say.ts';
import { settle } from './settle.ts';
import { ourselves } from './subjects.ts';

/** Parts of the table, by ranges of its key, each copied by a session of its own. */
const PARTS = 4;

interface Way {
  readonly name: string;
  /** What the warehouse is to have before it begins. */
  readonly target: string;
  /** What each of the sessions does; $part, $low and $high are its own. */
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

const ways: readonly Way[] = [
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

const OURS = 'datakit-postgres, parallelism 4';

/** What reading, writing and both take with the servers' own COPY, and so what is left to be saved. */
export async function limits({ stack, options }: Bench): Promise<Section> {
  const rows = options.rows ?? 1_000_000;
  const copied = await eventsCase(stack.sourceUrl, rows);
  const work = await makeTemporaryDirectory('limits');
  const environment = { SOURCE: stack.sourceUrl, WAREHOUSE: stack.warehouseUrl, WORK: work };
  const start = (script: string, directory: string) =>
    startCommand({ program: 'bash', args: ['-c', script], env: environment }, directory);
  const runDirectory = async (): Promise<string> => mkdtemp(join(work, 'run-'));
  await start(sessions(rows, PARTS, `${read} > "$WORK/part_$part"`), await runDirectory()).done;
  await start(sessions(rows, 1, `${read} > "$WORK/whole"`), await runDirectory()).done;
  const ours = await ourselves(stack);
  const samples = new Map<string, Sample[]>(
    [...ways.map(({ name }) => name), OURS].map((name) => [name, []]),
  );
  for (let round = 0; round <= (options.rounds ?? 3); round += 1) {
    const take = (name: string, sample: Sample): void => {
      if (round > 0) samples.get(name)?.push(sample);
      say(`  round ${round}: ${name} ${sample.seconds.toFixed(2)} s`);
    };
    for (const { name, target, each, parts } of ways) {
      await execute(stack.warehouseUrl, target);
      await settle(stack);
      const directory = await runDirectory();
      take(name, await measure(stack, [], () => start(sessions(rows, parts, each), directory)));
    }
    await settle(stack);
    const prepared = await ours.prepare(copied.tables);
    take(OURS, await measure(stack, ours.workers, prepared));
  }
  await ours.close();
  await removeTemporaryDirectory(work);
  const entries = [...samples].map(([name, all]): Measured => ({ subject: name, case: name, rows: copied.rows, bytes: copied.bytes, samples: all })); // prettier-ignore
  return {
    kind: 'times',
    title: 'Where the limit is',
    about:
      "What reading alone, writing alone and both take with the servers' own `COPY` and psql; the target is made before, and the data that are written alone come from a file.",
    entries,
  };
}

/** A script of so many sessions at once, each with its range of keys. */
function sessions(rows: number, parts: number, each: string): string {
  const step = Math.ceil((rows + 1) / parts);
  const all = Array.from(
    { length: parts },
    (_, part) =>
      `(set -o pipefail; part=${part}; low=${part * step}; high=${(part + 1) * step}; ${each}) & pids="$pids $!"`,
  );
  return `${all.join('\n')}\nfor pid in $pids; do wait "$pid" || exit; done`;
}
