import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import type { LocalStack } from '../local/stack.ts';
import { makeTemporaryDirectory, removeTemporaryDirectory } from '../local/temporary-directory.ts';
import type { Bench } from './bench.ts';
import { describeCase } from './cases.ts';
import { startCommand } from './command.ts';
import { execute, query } from './execute.ts';
import { Extractor } from './extractor.ts';
import { otherTypes, withTypes, type Landed } from './landed-types.ts';
import { dayOf, PARTITIONS, partitioned } from './partitioned-table.ts';
import { allPeers } from './peers/all-peers.ts';
import { columnList, type Part, type SourceTable } from './peers/peer.ts';
import type { Section } from './result.ts';
import { say } from './say.ts';
import { ofPartitioned } from './shapes.ts';
import { peerSubjects } from './subjects.ts';
import { measuredWays, takeTurns, type Way } from './take-turns.ts';

/** A way to replace a partition, and where its rows land. */
interface Replacing extends Way, Landed {
  /** Copies the whole table, which is not measured. */
  first(): Promise<void>;
}

const TABLE = 'parted';
const REPLACED = 50;
const PART: Part = { column: 'day', from: dayOf(REPLACED), to: dayOf(REPLACED + 1) };
const inPart = `${PART.column} >= '${PART.from}' AND ${PART.column} < '${PART.to}'`;

/** A handwritten script, in one transaction, with an index on the partition column. */
const byHand = `set -o pipefail
psql "$SOURCE" -qXc "COPY (SELECT * FROM ${TABLE} WHERE $ROWS) TO STDOUT (FORMAT binary)" |
  psql "$WAREHOUSE" -1qX -v ON_ERROR_STOP=1 -c "DELETE FROM ${TABLE} WHERE $ROWS" -c "COPY ${TABLE} FROM STDIN (FORMAT binary)"`;

/** Replaces one of a hundred partitions with this project, a script, and the peers that support it. */
export async function onePartition(bench: Bench): Promise<Section> {
  const { stack, options } = bench;
  const rows = ofPartitioned(options.rows ?? 1_000_000);
  for (const statement of partitioned(TABLE, rows)) await execute(stack.sourceUrl, statement);
  await execute(stack.sourceUrl, 'VACUUM (ANALYZE)');
  const { tables, bytes } = await describeCase(stack.sourceUrl, TABLE, [TABLE]);
  const directory = await makeTemporaryDirectory('one-partition');
  const extractor = await Extractor.start(stack);
  const { ways: others, leftOut, close } = await peerWays(bench, tables);
  const ways = [ours(stack, extractor), await hand(stack, tables, directory), ...others];
  const able = await firstRuns(ways, leftOut);
  const samples = await takeTurns(stack, able, {
    rounds: options.rounds ?? 5,
    before: async () => changePart(stack.sourceUrl),
    onFailure: ({ name }, reason) => (leftOut[name] = reason),
  });
  const types = new Map<string, string[]>();
  for (const way of able.filter(({ name }) => !(name in leftOut))) {
    await expectReplaced(stack.sourceUrl, way);
    types.set(way.name, await otherTypes(way, tables));
  }
  await Promise.all([extractor.stop(), close()]);
  await removeTemporaryDirectory(directory);
  const each = { case: 'one partition', rows: Math.ceil(rows / PARTITIONS), bytes: bytes / PARTITIONS };
  return {
    kind: 'times',
    title: 'One partition replaced',
    about: `One of the ${PARTITIONS} partitions of a table of ${rows.toLocaleString('en-US')} rows is replaced in the warehouse, by \`partitions\` with \`"write": "replace-partitions"\`. By hand this is a psql script; peers use their mode for a range of rows. Rows and bytes are those of the partition.`,
    base: 'psql',
    entries: withTypes(measuredWays(samples, each), types),
    leftOut,
  };
}

/** Runs a first, full copy with each way and returns those that succeeded. */
async function firstRuns(ways: readonly Replacing[], leftOut: Record<string, string>): Promise<Replacing[]> {
  const able: Replacing[] = [];
  for (const way of ways) {
    try {
      await way.first();
      able.push(way);
      say(`  ${way.name} has the whole table`);
    } catch (error) {
      leftOut[way.name] = error instanceof Error ? error.message : String(error);
    }
  }
  return able;
}

/** Changes all rows of the partition, so that a replacement is visible. */
async function changePart(url: string): Promise<void> {
  await execute(url, `UPDATE ${TABLE} SET amount = amount + 1 WHERE ${inPart}`);
  await execute(url, `VACUUM ${TABLE}_${REPLACED}`);
}

/** Makes sure that the target has the same rows as the source, once each. */
async function expectReplaced(sourceUrl: string, way: Replacing): Promise<void> {
  const [source, target] = await Promise.all([
    summaryOf(sourceUrl, TABLE),
    summaryOf(way.warehouseUrl, way.target(TABLE)),
  ]);
  if (source !== target) throw new Error(`${way.name}: ${target} and not ${source}`);
}

async function summaryOf(url: string, table: string): Promise<string> {
  const [row] = await query<{ summary: string }>(
    url,
    `SELECT count(*) || ' rows, ' || count(DISTINCT id) || ' keys, ' || trunc(sum(amount) FILTER (WHERE ${inPart})) || ' in all' AS summary FROM ${table}`,
  );
  return row?.summary ?? '';
}

function ours({ warehouseUrl }: LocalStack, extractor: Extractor): Replacing {
  const request = { table: TABLE, parallelism: 4, write: 'replace-partitions' } as const;
  return {
    name: 'datakit-postgres',
    workers: [extractor.worker.pid],
    warehouseUrl,
    target: (table) => `bronze.br_${table}`,
    async first() {
      await extractor.table(request);
    },
    prepare: async () => () => ({
      roots: [],
      done: extractor.table({ ...request, partitions: { from: PART.from, to: PART.to } }),
    }),
  };
}

async function hand(
  { sourceUrl, warehouseUrl }: LocalStack,
  tables: readonly SourceTable[],
  directory: string,
): Promise<Replacing> {
  for (const table of tables)
    await execute(warehouseUrl, `CREATE TABLE ${table.name} (${columnList(table)})`);
  const start = async (rows: string) => {
    const run = await mkdtemp(join(directory, 'run-'));
    const env = { SOURCE: sourceUrl, WAREHOUSE: warehouseUrl, ROWS: rows };
    return () => startCommand({ program: 'bash', args: ['-c', byHand], env }, run);
  };
  return {
    name: 'psql, DELETE and COPY',
    workers: [],
    warehouseUrl,
    target: (table) => `public.${table}`,
    async first() {
      await (
        await start('true')
      )().done;
      await execute(warehouseUrl, `CREATE INDEX ON ${TABLE} (${PART.column}); ANALYZE ${TABLE}`);
    },
    prepare: async () => start(inPart),
  };
}

/** The peers that can replace a range of rows. */
async function peerWays(bench: Bench, tables: readonly SourceTable[]) {
  const { ready, leftOut } = await bench.peers(
    allPeers.filter(({ parts }) => parts === true).map(({ name }) => name),
  );
  let whole = true;
  const able = ready.filter(({ parts }) => parts === true);
  const subjects = await peerSubjects(bench.stack, able, () => (whole ? {} : { part: PART }));
  const ways = subjects.map((subject): Replacing => ({
    name: subject.name,
    workers: [],
    warehouseUrl: subject.warehouseUrl,
    target: (table) => subject.target(table),
    async first() {
      whole = true;
      const start = await subject.prepare(tables);
      whole = false;
      await start().done;
    },
    prepare: async () => subject.prepare(tables),
  }));
  const close = async () => Promise.all(subjects.map(async (subject) => subject.close()));
  return { ways, leftOut, close };
}
