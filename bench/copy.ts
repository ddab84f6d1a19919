import { compare } from './against-peers.ts';
import type { Bench } from './bench.ts';
import { describeCase, eventsCase } from './cases.ts';
import { execute } from './execute.ts';
import { Extractor } from './extractor.ts';
import { inTurn } from './in-turn.ts';
import type { Section } from './result.ts';

const SMALL_ROWS = 10_000;

/** Copies a large and a small table with this project and with psql, and counts the history events of a run. */
export async function copy(bench: Bench): Promise<Section> {
  const { stack, options } = bench;
  const rounds = options.rounds ?? 5;
  const large = await eventsCase(stack.sourceUrl, options.rows ?? 5_000_000);
  await execute(stack.sourceUrl, `CREATE TABLE small AS SELECT * FROM events LIMIT ${SMALL_ROWS}`);
  const small = await describeCase(stack.sourceUrl, `${SMALL_ROWS.toLocaleString('en-US')} rows`, ['small']);
  const { entries, leftOut } = await compare(bench, ['psql | psql, binary'], async (subjects) => [
    ...(await inTurn(stack, subjects, large, { rounds })),
    ...(await inTurn(stack, subjects, small, { rounds: Math.max(rounds, 10) })),
  ]);
  return {
    kind: 'times',
    title: 'Against psql',
    about: `A large table and a small one. ${await historyOf(stack)}`,
    entries,
    leftOut,
  };
}

/** Describes how long the history of a run is. */
async function historyOf(stack: Bench['stack']): Promise<string> {
  const extractor = await Extractor.start(stack);
  const run = await extractor.start('extractTable', { table: 'events', parallelism: 4 });
  const { chunks } = await run.result();
  const { historyLength } = await run.describe();
  await extractor.stop();
  return `The Temporal history of one run of the large table had ${historyLength} events for ${chunks} chunks: ${(historyLength / chunks).toFixed(1)} per chunk.`;
}
