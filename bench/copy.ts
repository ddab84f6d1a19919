import { startStack, type LocalStack } from '../local/stack.ts';
import { formatBytes, formatDuration } from '../src/contract/quantities.ts';
import { makeBenchTable } from './bench-table.ts';
import { execute } from './execute.ts';
import { Extractor } from './extractor.ts';
import { cpuSeconds, peakMemory } from './process-times.ts';
import { psqlPipe } from './psql-pipe.ts';
import { say } from './say.ts';
import { settle } from './settle.ts';
import { median } from './statistics.ts';
import { timed } from './timed.ts';

const ROWS = Number(process.env['BENCH_ROWS'] ?? 2_000_000);
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const SMALL_RUNS = 10;

/** The same table by hand and by `extractTable`, in turn, in one run. */
export async function benchCopy(): Promise<void> {
  const stack = await startStack({ ui: false });
  try {
    const size = await makeBenchTable(stack.sourceUrl, ROWS);
    say(`events: ${ROWS.toLocaleString('en-US')} rows, ${formatBytes(size)}`);
    await compare(stack);
  } finally {
    await stack.close();
  }
}

async function compare(stack: LocalStack): Promise<void> {
  const extractor = await Extractor.start(stack);
  const { worker } = extractor;
  const byHand: number[] = [];
  const extracted: number[] = [];
  let history = '';
  for (let round = 0; round <= ROUNDS; round += 1) {
    await settle(stack);
    const hand = await measured(stack, worker.pid, async () =>
      psqlPipe(stack.sourceUrl, stack.warehouseUrl, 'binary'),
    );
    await settle(stack);
    const run = await measured(stack, worker.pid, async () =>
      extractor.table({ table: 'events', parallelism: 4 }),
    );
    const ratio = (run.milliseconds / hand.milliseconds).toFixed(2);
    say(round === 0 ? 'warm-up' : `round ${round}: ratio ${ratio}`);
    say(`  psql | psql  ${formatDuration(hand.milliseconds)} (${hand.cpu})`);
    say(`  extractTable ${formatDuration(run.milliseconds)} (${run.cpu})`);
    const { events } = run.result;
    const { chunks } = run.result.result;
    history = `${events} events for ${chunks} chunks (${(events / chunks).toFixed(1)} each)`;
    if (round === 0) continue;
    byHand.push(hand.milliseconds);
    extracted.push(run.milliseconds);
  }
  const [hand, ours] = [median(byHand), median(extracted)];
  say(`\nmedian of ${ROUNDS}: psql | psql ${formatDuration(hand)}, extractTable ${formatDuration(ours)}`);
  say(`ratio of the medians: ${(ours / hand).toFixed(2)}`);
  say(`peak memory of the worker: ${formatBytes(await peakMemory(worker.pid))}; history: ${history}`);
  say(
    `a table of 10,000 rows, end to end, median of ${SMALL_RUNS}: ${formatDuration(await smallTable(stack, extractor))}`,
  );
  await extractor.stop();
}

/** What a run costs beside its rows. */
async function smallTable({ sourceUrl }: LocalStack, extractor: Extractor): Promise<number> {
  await execute(sourceUrl, 'CREATE TABLE small AS SELECT * FROM events LIMIT 10000');
  const times: number[] = [];
  for (let run = 0; run <= SMALL_RUNS; run += 1) {
    const { milliseconds } = await timed(async () => extractor.table({ table: 'small' }));
    if (run > 0) times.push(milliseconds);
  }
  return median(times);
}

interface Measured<T> {
  readonly result: T;
  readonly milliseconds: number;
  readonly cpu: string;
}

/** Runs the work, and tells whose CPU it took. The two psql processes count to nobody here. */
async function measured<T>(stack: LocalStack, worker: number, work: () => Promise<T>): Promise<Measured<T>> {
  const roots = {
    source: stack.source?.pid,
    warehouse: stack.warehouse?.pid,
    worker,
    temporal: stack.temporal?.pid,
  };
  const named = Object.entries(roots).flatMap(([name, pid]) =>
    pid === undefined ? [] : [[name, pid] as const],
  );
  const before = await Promise.all(named.map(async ([, pid]) => cpuSeconds(pid)));
  const { result, milliseconds } = await timed(work);
  const after = await Promise.all(named.map(async ([, pid]) => cpuSeconds(pid)));
  const spent = named.map(
    ([name], index) => `${name} ${((after[index] ?? 0) - (before[index] ?? 0)).toFixed(1)} s`,
  );
  return { result, milliseconds, cpu: `CPU: ${spent.join(', ')}` };
}
