import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { loadavg } from 'node:os';
import { dirname } from 'node:path';
import { startStack } from '../local/stack.ts';
import type { Bench } from './bench.ts';
import { benchmarks, studies } from './benchmarks.ts';
import { withFigures } from './figures.ts';
import { describeMachine, describeVersions } from './machine.ts';
import { benchmarkNames, studyNames, type BenchmarkName, type StudyName } from './names.ts';
import { helpText, OptionsError, parseOptions, type BenchOptions } from './options.ts';
import { allPeers, preparePeers } from './peers/all-peers.ts';
import { PeerCache } from './peers/cache.ts';
import { render } from './render.ts';
import type { Results } from './result.ts';
import { say } from './say.ts';

async function main(): Promise<void> {
  const options = parse();
  if (options === undefined) return;
  for (const name of options.only) {
    if (isStudy(name)) {
      say(`\n${name}: ${studyNames[name]}`);
      await studies[name](options);
    } else {
      say(`\n${name}: ${benchmarkNames[name]}`);
      await runBenchmark(name, options);
    }
  }
}

const isStudy = (name: BenchmarkName | StudyName): name is StudyName => name in studyNames;

function parse(): BenchOptions | undefined {
  try {
    const options = parseOptions(process.argv.slice(2));
    if (!options.help) return options;
    say(helpText);
  } catch (error) {
    if (!(error instanceof OptionsError)) throw error;
    process.stderr.write(`${error.message}\n\n${helpText}`);
    process.exitCode = 2;
  }
  return undefined;
}

async function runBenchmark(name: BenchmarkName, options: BenchOptions): Promise<void> {
  const before = loadavg()[0] ?? 0;
  const stack = await startStack({ ui: false });
  try {
    const versions: Record<string, string> = await describeVersions(stack);
    const bench: Bench = {
      stack,
      options,
      async peers(proposed) {
        const names = options.peers.length > 0 ? options.peers : proposed;
        const wanted = allPeers.filter(
          (peer) => names === undefined || names.some((beginning) => peer.name.startsWith(beginning)),
        );
        const peers = await preparePeers(wanted, new PeerCache());
        for (const { name: peer, version } of peers.ready) versions[peer] = version;
        return peers;
      },
    };
    const section = await benchmarks[name](bench);
    const circumstances = {
      at: new Date().toISOString(),
      machine: describeMachine(),
      load: [before, loadavg()[0] ?? 0] as const,
      versions,
    };
    await addTo(options.json, { [name]: { ...withFigures(section), circumstances } });
    say(`\n${render(section, circumstances)}\n\nWritten to ${options.json}`);
  } finally {
    await stack.close();
  }
}

/** Adds to the file of results, keeping those of other benchmarks. */
async function addTo(file: string, results: Results): Promise<void> {
  const before = JSON.parse(await readFile(file, 'utf8').catch(() => '{}')) as Results;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, `${JSON.stringify({ ...before, ...results }, undefined, 1)}\n`);
}

await main();
