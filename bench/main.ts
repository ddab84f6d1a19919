import { benchChanges } from './changes.ts';
import { benchCopy } from './copy.ts';
import { benchIncrement } from './increment.ts';
import { benchTables } from './tables.ts';
import { benchPartitions } from './partitions.ts';
import { benchTuning } from './tuning.ts';
import { benchValues } from './values.ts';

const benchmarks: Readonly<Record<string, () => Promise<void>>> = {
  cdc: benchChanges,
  copy: benchCopy,
  increment: benchIncrement,
  tables: benchTables,
  partitions: benchPartitions,
  tuning: benchTuning,
  values: benchValues,
};

const name = process.argv[2] ?? 'copy';
const run = benchmarks[name];
if (run === undefined) {
  process.stderr.write(`There is no benchmark "${name}". There is: ${Object.keys(benchmarks).join(', ')}.\n`);
  process.exitCode = 2;
} else {
  await run();
}
