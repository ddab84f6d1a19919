import { againstPeers, byShape } from './against-peers.ts';
import type { Benchmark } from './bench.ts';
import { catchUp } from './catch-up.ts';
import { changes } from './changes.ts';
import { benchIdle } from './idle.ts';
import { limits } from './limits.ts';
import { copy } from './copy.ts';
import type { BenchmarkName, StudyName } from './names.ts';
import { onePartition } from './one-partition.ts';
import type { BenchOptions } from './options.ts';
import { profile } from './profile.ts';
import { readers } from './readers.ts';
import { scaling } from './scaling.ts';
import { growth, pandasTable } from './sizes.ts';
import { benchTuning } from './tuning.ts';
import { valuesKept } from './values-kept.ts';
import { benchValues } from './values.ts';

export const benchmarks: Readonly<Record<BenchmarkName, Benchmark>> = {
  copy,
  peers: againstPeers,
  types: valuesKept,
  readers,
  shapes: byShape,
  partition: onePartition,
  scaling,
  growth,
  increments: catchUp,
  cdc: changes,
  limits,
  profile,
  pandas: pandasTable,
};

export const studies: Readonly<Record<StudyName, (options: BenchOptions) => Promise<void>>> = {
  idle: benchIdle,
  values: benchValues,
  tuning: benchTuning,
};
