import type { WorkerProcess } from '../local/worker-process.ts';
import type { Bench } from './bench.ts';
import { eventsCase } from './cases.ts';
import { Extractor } from './extractor.ts';
import type { Measured, Section } from './result.ts';
import { takeTurns, type Way } from './take-turns.ts';

/** Parallelism by number of workers, grouped because starting a worker takes longer than a copy. */
const variants: readonly { readonly workers: number; readonly parallelism: readonly number[] }[] = [
  { workers: 1, parallelism: [1, 2, 4, 8] },
  { workers: 2, parallelism: [4] },
  { workers: 3, parallelism: [4] },
  { workers: 4, parallelism: [4] },
];

/** Copies the same table with increasing parallelism, and with more workers. */
export async function scaling({ stack, options }: Bench): Promise<Section> {
  const { rows, bytes } = await eventsCase(stack.sourceUrl, options.rows ?? 1_000_000);
  const extractor = await Extractor.start(stack);
  const others: WorkerProcess[] = [];
  const entries: Measured[] = [];
  for (const { workers, parallelism } of variants) {
    while (others.length < workers - 1) others.push(await extractor.anotherWorker());
    const pids = [extractor.worker, ...others].map(({ pid }) => pid);
    const ways = parallelism.map((copies) => copying(extractor, pids, copies));
    const samples = await takeTurns(stack, ways, { rounds: options.rounds ?? 3 });
    for (const [{ name }, taken] of samples) {
      entries.push({ subject: 'datakit-postgres', case: name, rows, bytes, samples: taken });
    }
  }
  await Promise.all([extractor.stop(), ...others.map(async (worker) => worker.stop())]);
  return {
    kind: 'times',
    title: 'More copies at once, more workers',
    about: 'One table, copied with different values of `parallelism` and by one or several workers.',
    entries,
  };
}

const copying = (extractor: Extractor, workers: readonly number[], parallelism: number): Way => ({
  name: `parallelism ${parallelism}, ${workers.length === 1 ? 'one worker' : `${workers.length} workers`}`,
  workers,
  prepare: async () => () => ({ roots: [], done: extractor.table({ table: 'events', parallelism }) }),
});
