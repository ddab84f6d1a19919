import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { dirname } from 'node:path';
import { startStack } from '../local/stack.ts';
import { againstPeers, byShape, growth, pandasTable } from './against-peers.ts';
import type { Bench, Benchmark } from './bench.ts';
import { catchUp } from './catch-up.ts';
import { benchChanges } from './changes.ts';
import { benchCopy } from './copy.ts';
import { benchIncrement } from './increment.ts';
import { describeMachine, describeVersions } from './machine.ts';
import { helpText, OptionsError, parseOptions, type BenchOptions } from './options.ts';
import { benchPartitions } from './partitions.ts';
import { allPeers, preparePeers } from './peers/all-peers.ts';
import { PeerCache } from './peers/cache.ts';
import { limits } from './limits.ts';
import { benchProfile } from './profile.ts';
import { readers } from './readers.ts';
import { render } from './render.ts';
import type { Results } from './result.ts';
import { say } from './say.ts';
import { scaling } from './scaling.ts';
import { benchTables } from './tables.ts';
import { benchTuning } from './tuning.ts';
import { benchValues } from './values.ts';
import { valuesKept } from './values-kept.ts';

/** Their results are tables, and kept. */
const benchmarks: Readonly<Record<string, { readonly about: string; readonly run: Benchmark }>> = {
  peers: { about: '* one table, by this project and by every peer', run: againstPeers },
  types: { about: '* values of difficult types: what each of them keeps', run: valuesKept },
  readers: { about: '* what readers see during a replace and after a SIGKILL', run: readers },
  shapes: { about: '* tables of several shapes, by the quicker peers', run: byShape },
  scaling: { about: '* more copies at once, more workers', run: scaling },
  growth: { about: '* once, three times and ten times the rows', run: growth },
  increments: { about: '* a hundredth of a table changed, caught up with', run: catchUp },
  limits: { about: '* reading alone, writing alone, and both', run: limits },
  pandas: { about: '* scripts with pandas, at a tenth of the rows and at all', run: pandasTable },
};

/** They answer one question each, and print the answer; BENCH_ROWS, BENCH_ROUNDS and the like are theirs. */
const studies: Readonly<Record<string, { readonly about: string; readonly run: () => Promise<void> }>> = {
  copy: { about: 'extractTable against psql | psql, and a small table end to end', run: benchCopy },
  increment: { about: 'increments of a large table, appended and merged', run: benchIncrement },
  cdc: { about: 'changes against pg_recvlogical, their lag, memory', run: benchChanges },
  tables: { about: 'many small tables', run: benchTables },
  partitions: { about: 'the same rows in one table and in partitions', run: benchPartitions },
  values: { about: 'checksums, and rows that cross as text', run: benchValues },
  profile: { about: 'what a copy waits for, and where the worker spends its time', run: benchProfile },
  tuning: { about: 'settings of the session of the source', run: benchTuning },
};

async function main(): Promise<void> {
  const all = { ...benchmarks, ...studies };
  const help = helpText(Object.fromEntries(Object.entries(all).map(([name, { about }]) => [name, about])));
  const options = parse(Object.keys(all), help);
  if (options === undefined) return;
  for (const name of options.only.length > 0 ? options.only : Object.keys(benchmarks)) {
    say(`\n${name}: ${all[name]?.about.replace('* ', '') ?? ''}`);
    const benchmark = benchmarks[name];
    if (benchmark === undefined) await studies[name]?.run();
    else await runBenchmark(name, benchmark.run, options);
  }
}

function parse(names: readonly string[], help: string): BenchOptions | undefined {
  try {
    const options = parseOptions(process.argv.slice(2), names);
    if (!options.help) return options;
    say(help);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    process.stderr.write(`${error.message}\n\n${help}`);
    process.exitCode = 2;
  }
  return undefined;
}

async function runBenchmark(name: string, run: Benchmark, options: BenchOptions): Promise<void> {
  const before = loadavg()[0] ?? 0;
  const stack = await startStack({ ui: false });
  try {
    const versions: Record<string, string> = await describeVersions(stack);
    const bench: Bench = {
      stack,
      options,
      async peers(names = options.peers) {
        const wanted = allPeers.filter(
          (peer) => names.length === 0 || names.some((beginning) => peer.name.startsWith(beginning)),
        );
        const peers = await preparePeers(wanted, new PeerCache());
        for (const { name: peer, version } of peers.ready) versions[peer] = version;
        return peers;
      },
    };
    const section = await run(bench);
    const circumstances = {
      at: new Date().toISOString(),
      machine: describeMachine(),
      load: [before, loadavg()[0] ?? 0] as const,
      versions,
    };
    await addTo(options.json, { [name]: { ...section, circumstances } });
    say(`\n${render(section, circumstances)}\n\nWritten to ${options.json}`);
  } finally {
    await stack.close();
  }
}

/** Results of other benchmarks stay. */
async function addTo(file: string, results: Results): Promise<void> {
  const before = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Results;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify({ ...before, ...results }, undefined, 1)}\n`);
}

await main();
