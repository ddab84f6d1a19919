import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { LocalStack } from '../local/stack.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../local/temporary-directory.ts';
import { benchColumns } from './bench-table.ts';
import type { Bench } from './bench.ts';
import { eventsCase } from './cases.ts';
import { startCommand } from './command.ts';
import { execute, query } from './execute.ts';
import { Extractor } from './extractor.ts';
import { otherTypes, withTypes, type Landed } from './landed-types.ts';
import type { Case } from './in-turn.ts';
import type { Section } from './result.ts';
import { say } from './say.ts';
import { allPeers } from './peers/all-peers.ts';
import { peerSubjects } from './subjects.ts';
import { measuredWays, takeTurns, type Way } from './take-turns.ts';

/** A way to catch up with a table, and where its rows land. */
type CatchingUp = Way & Landed;

/** One row in this many changes between two runs. */
const ONE_OF = 100;
const KEYS = { key: 'id', cursor: 'updated_at' } as const;
const names = benchColumns
  .split(/,\s*(?=[a-z])/)
  .map((column) => column.trim().split(' ')[0] ?? '')
  .filter((name) => name !== 'id');

/** A handwritten script, with an index on both sides and no regard for transactions that commit late. */
const byHand = `set -o pipefail
last=$(psql "$WAREHOUSE" -qXAtc "SELECT coalesce(max(updated_at), '-infinity') FROM by_hand") &&
psql "$SOURCE" -qXc "COPY (SELECT * FROM events WHERE updated_at > '$last') TO STDOUT (FORMAT binary)" |
  psql "$WAREHOUSE" -1qX -v ON_ERROR_STOP=1 -c "CREATE TEMP TABLE fresh (LIKE by_hand)" -c "COPY fresh FROM STDIN (FORMAT binary)" \\
    -c "INSERT INTO by_hand SELECT * FROM fresh ON CONFLICT (id) DO UPDATE SET (${names.join(', ')}) = (${names.map((name) => `excluded.${name}`).join(', ')})"`;

/** Measures increments: a hundredth of a large table changes, and this project, a script and peers catch up. */
export async function catchUp(bench: Bench): Promise<Section> {
  const { stack, options } = bench;
  const rows = options.rows ?? 1_000_000;
  const copied = await eventsCase(stack.sourceUrl, rows);
  await execute(stack.sourceUrl, 'CREATE INDEX ON events (updated_at)');
  const directory = await makeTemporaryDirectory('catch-up');
  const extractor = await Extractor.start(stack);
  const { ways: others, leftOut, close } = await peerWays(bench, copied);
  const ways = [
    ours(stack, extractor, 'merge'),
    ours(stack, extractor, 'append'),
    await hand(stack, directory),
    ...others,
  ];
  const able = await firstRuns(ways, leftOut);
  let last: Change = { since: '', rows: 0 };
  const samples = await takeTurns(stack, able, {
    rounds: options.rounds ?? 5,
    before: async () => {
      last = await changeRows(stack.sourceUrl);
    },
    onFailure: ({ name }, reason) => (leftOut[name] = reason),
  });
  const types = new Map<string, string[]>();
  for (const way of able.filter(({ name }) => !(name in leftOut))) {
    await expectAllIn(way, last);
    types.set(way.name, await otherTypes(way, copied.tables));
  }
  await Promise.all([extractor.stop(), close()]);
  await removeTemporaryDirectory(directory);
  const changed = Math.floor(rows / ONE_OF);
  return {
    kind: 'times',
    title: 'Increments',
    about: `Of ${rows.toLocaleString('en-US')} rows, ${changed.toLocaleString('en-US')} are updated between two runs. By hand this is a psql script with \`INSERT … ON CONFLICT\`; peers use their incremental mode. Rows and bytes are those that changed.`,
    base: 'psql',
    entries: withTypes(
      measuredWays(samples, { case: 'a hundredth changed', rows: changed, bytes: copied.bytes / ONE_OF }),
      types,
    ),
    leftOut,
  };
}

/** Runs a first, full copy with each way and returns those that succeeded. */
async function firstRuns(
  ways: readonly CatchingUp[],
  leftOut: Record<string, string>,
): Promise<CatchingUp[]> {
  const able: CatchingUp[] = [];
  for (const way of ways) {
    try {
      await (
        await way.prepare()
      )().done;
      able.push(way);
      say(`  ${way.name} has the whole table`);
    } catch (error) {
      leftOut[way.name] = error instanceof Error ? error.message : String(error);
    }
  }
  return able;
}

/** The last batch of changes. */
interface Change {
  /** A moment before the changes. */
  readonly since: string;
  readonly rows: number;
}

/** Changes rows spread over the whole benchmark table. */
export async function changeRows(url: string): Promise<Change> {
  const [row] = await query<{ since: string; rows: number }>(
    url,
    `WITH moment AS MATERIALIZED (SELECT clock_timestamp() AS since),
          changed AS (UPDATE events SET updated_at = clock_timestamp() FROM moment WHERE id % ${ONE_OF} = 0 RETURNING 1)
     SELECT since::text, (SELECT count(*)::int FROM changed) AS rows FROM moment`,
  );
  return row ?? { since: '', rows: 0 };
}

/** Makes sure that all changes arrived: a way that copies nothing would look fast. */
async function expectAllIn(way: CatchingUp, { since, rows }: Change): Promise<void> {
  const [row] = await query<{ rows: number }>(
    way.warehouseUrl,
    `SELECT count(*)::int AS rows FROM ${way.target('events')} WHERE updated_at >= '${since}'`,
  );
  if (row?.rows !== rows) throw new Error(`${way.name}: ${row?.rows} of ${rows} changes arrived`);
}

function ours(stack: LocalStack, extractor: Extractor, write: 'append' | 'merge'): CatchingUp {
  return {
    name: `datakit-postgres, ${write}`,
    workers: [extractor.worker.pid],
    warehouseUrl: stack.warehouseUrl,
    target: () => `bronze.br_${write}`,
    prepare: async () => () => ({
      roots: [],
      done: extractor.table({
        table: 'events',
        target: `br_${write}`,
        write,
        incremental: { column: KEYS.cursor, lookback: 0 },
      }),
    }),
  };
}

async function hand({ sourceUrl, warehouseUrl }: LocalStack, directory: string): Promise<CatchingUp> {
  await execute(
    warehouseUrl,
    `CREATE TABLE by_hand (${benchColumns}, PRIMARY KEY (id)); CREATE INDEX ON by_hand (updated_at)`,
  );
  return {
    name: 'psql and INSERT … ON CONFLICT',
    workers: [],
    warehouseUrl,
    target: () => 'by_hand',
    async prepare() {
      const run = await mkdtemp(join(directory, 'run-'));
      const env = { SOURCE: sourceUrl, WAREHOUSE: warehouseUrl };
      return () => startCommand({ program: 'bash', args: ['-c', byHand], env }, run);
    },
  };
}

/** The peers that support incremental copies. */
async function peerWays(bench: Bench, { tables }: Case) {
  const { ready, leftOut } = await bench.peers(
    allPeers.filter(({ increments }) => increments === true).map(({ name }) => name),
  );
  const able = ready.filter(({ increments }) => increments === true);
  const subjects = await peerSubjects(bench.stack, able, () => ({ increment: KEYS }));
  const ways = subjects.map((subject): CatchingUp => ({
    name: subject.name,
    workers: [],
    warehouseUrl: subject.warehouseUrl,
    target: (table) => subject.target(table),
    prepare: async () => subject.prepare(tables),
  }));
  const close = async () => Promise.all(subjects.map(async (subject) => subject.close()));
  return { ways, leftOut, close };
}
