import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { LocalStack } from '../local/stack.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../local/temporary-directory.ts';
import { benchColumns } from './bench-table.ts';
import type { Bench } from './bench.ts';
import { eventsCase } from './cases.ts';
import { startCommand } from './command.ts';
import { execute } from './execute.ts';
import { Extractor } from './extractor.ts';
import { measure, type Running } from './measure.ts';
import type { Sample, Section } from './result.ts';
import { say } from './say.ts';
import { settle } from './settle.ts';

interface Way {
  readonly name: string;
  readonly workers: readonly number[];
  start(): Promise<() => Running>;
}

/** One row of so many is changed between two runs. */
const ONE_OF = 100;
const names = benchColumns
  .split(/,\s*(?=[a-z])/)
  .map((column) => column.trim().split(' ')[0] ?? '')
  .filter((name) => name !== 'id');

/** What one would write by hand, with an index on both sides and no regard for transactions that commit late. */
const byHand = `set -o pipefail
last=$(psql "$WAREHOUSE" -qXAtc "SELECT coalesce(max(updated_at), '-infinity') FROM by_hand") &&
psql "$SOURCE" -qXc "COPY (SELECT * FROM events WHERE updated_at > '$last') TO STDOUT (FORMAT binary)" |
  psql "$WAREHOUSE" -1qX -v ON_ERROR_STOP=1 -c "CREATE TEMP TABLE fresh (LIKE by_hand)" -c "COPY fresh FROM STDIN (FORMAT binary)" \\
    -c "INSERT INTO by_hand SELECT * FROM fresh ON CONFLICT (id) DO UPDATE SET (${names.join(', ')}) = (${names.map((name) => `excluded.${name}`).join(', ')})"`;

/** Increments: a hundredth of a large table changed, caught up with by this project and by a script of psql. */
export async function catchUp({ stack, options }: Bench): Promise<Section> {
  const rows = options.rows ?? 1_000_000;
  await eventsCase(stack.sourceUrl, rows);
  await execute(stack.sourceUrl, 'CREATE INDEX ON events (updated_at)');
  const directory = await makeTemporaryDirectory('catch-up');
  const extractor = await Extractor.start(stack);
  const ways = [ours(extractor, 'merge'), ours(extractor, 'append'), await hand(stack, directory)];
  const samples = new Map<Way, Sample[]>(ways.map((way) => [way, []]));
  for (let round = -1; round <= (options.rounds ?? 5); round += 1) {
    // the first run copies all, the second warms up
    if (round >= 0) await change(stack.sourceUrl);
    for (const way of ways) {
      await settle(stack);
      const sample = await measure(stack, way.workers, await way.start());
      if (round > 0) samples.get(way)?.push(sample);
      say(`  round ${round}: ${way.name} ${sample.seconds.toFixed(2)} s`);
    }
  }
  await extractor.stop();
  await removeTemporaryDirectory(directory);
  const changed = Math.floor(rows / ONE_OF);
  return {
    kind: 'times',
    title: 'Increments',
    about: `Of ${rows.toLocaleString('en-US')} rows, ${changed.toLocaleString('en-US')} are updated between two runs; by hand it is a script of psql with INSERT … ON CONFLICT. Rows and bytes are those that changed.`,
    entries: [...samples].map(([way, all]) => ({
      subject: way.name,
      case: 'a hundredth changed',
      rows: changed,
      bytes: changed * 300,
      samples: all,
    })),
  };
}

/** In rows all over the table. */
const change = async (url: string): Promise<void> =>
  execute(url, `UPDATE events SET updated_at = clock_timestamp() WHERE id % ${ONE_OF} = 0`);

function ours(extractor: Extractor, write: 'append' | 'merge'): Way {
  return {
    name: `datakit-postgres, ${write}`,
    workers: [extractor.worker.pid],
    start: async () => () => ({
      roots: [],
      done: extractor.table({
        table: 'events',
        target: `br_${write}`,
        write,
        incremental: { column: 'updated_at', lookback: 0 },
      }),
    }),
  };
}

async function hand(stack: LocalStack, directory: string): Promise<Way> {
  await execute(
    stack.warehouseUrl,
    `CREATE TABLE by_hand (${benchColumns}, PRIMARY KEY (id)); CREATE INDEX ON by_hand (updated_at)`,
  );
  return {
    name: 'psql and INSERT … ON CONFLICT',
    workers: [],
    async start() {
      const run = await mkdtemp(join(directory, 'run-'));
      const env = { SOURCE: stack.sourceUrl, WAREHOUSE: stack.warehouseUrl };
      return () => startCommand({ program: 'bash', args: ['-c', byHand], env }, run);
    },
  };
}
