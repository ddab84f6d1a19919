import { startWorkerProcess, type WorkerProcess } from '../local/worker-process.ts';
import { formatDuration } from '../src/contract/quantities.ts';
import type { Bench } from './bench.ts';
import { eventsCase } from './cases.ts';
import { Extractor } from './extractor.ts';
import { measure } from './measure.ts';
import type { Measured, Sample, Section } from './result.ts';
import { say } from './say.ts';
import { settle } from './settle.ts';

/** How many copies at once, and how many workers share them. */
const variants = [
  { parallelism: 1, workers: 1 },
  { parallelism: 2, workers: 1 },
  { parallelism: 4, workers: 1 },
  { parallelism: 8, workers: 1 },
  { parallelism: 4, workers: 2 },
  { parallelism: 4, workers: 4 },
];

/** The same table with more copies at once, and with more workers. */
export async function scaling({ stack, options }: Bench): Promise<Section> {
  const copied = await eventsCase(stack.sourceUrl, options.rows ?? 1_000_000);
  const extractor = await Extractor.start(stack);
  const others: WorkerProcess[] = [];
  const samples = new Map<(typeof variants)[number], Sample[]>(variants.map((variant) => [variant, []]));
  const rounds = options.rounds ?? 3;
  // grouped by workers: to start one takes longer than a copy
  for (const workers of new Set(variants.map((variant) => variant.workers))) {
    while (others.length < workers - 1) {
      others.push(
        await startWorkerProcess({
          env: { ...stack.workerEnvironment, DATAKIT_TASK_QUEUE: extractor.taskQueue },
          entry: 'dist/worker.js',
        }),
      );
    }
    const pids = [extractor.worker, ...others].map(({ pid }) => pid);
    for (let round = 0; round <= rounds; round += 1) {
      for (const variant of variants.filter((candidate) => candidate.workers === workers)) {
        await settle(stack);
        const { parallelism } = variant;
        const sample = await measure(stack, pids, () => ({
          roots: [],
          done: extractor.table({ table: 'events', parallelism }),
        }));
        if (round > 0) samples.get(variant)?.push(sample);
        say(`  ${name(variant)}, round ${round}: ${formatDuration(sample.seconds * 1000)}`);
      }
    }
  }
  await Promise.all([extractor.stop(), ...others.map(async (worker) => worker.stop())]);
  const entries = variants.map((variant): Measured => ({
    subject: 'datakit-postgres',
    case: name(variant),
    rows: copied.rows,
    bytes: copied.bytes,
    samples: samples.get(variant) ?? [],
  }));
  return {
    kind: 'times',
    title: 'More copies at once, more workers',
    about: 'One table with another `parallelism`, and with several workers.',
    entries,
  };
}

const name = ({ parallelism, workers }: (typeof variants)[number]): string =>
  `parallelism ${parallelism}, ${workers === 1 ? 'one worker' : `${workers} workers`}`;
