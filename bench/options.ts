import { parseArgs } from 'node:util';
import { benchmarkNames, studyNames, type BenchmarkName, type StudyName } from './names.ts';

/** Options of `npm run bench`. */
export interface BenchOptions {
  /** Rows per table; each benchmark has its own default. */
  readonly rows: number | undefined;
  readonly rounds: number | undefined;
  /** All benchmarks and no studies by default. */
  readonly only: readonly (BenchmarkName | StudyName)[];
  readonly peers: readonly string[];
  readonly json: string;
  readonly help: boolean;
}

/** An unknown option or an invalid value. */
export class OptionsError extends Error {}

/** @throws {OptionsError} names the option and the values it takes */
export function parseOptions(args: readonly string[]): BenchOptions {
  const { values, positionals } = parse(args);
  const only = [...positionals, ...list(values.only)].map(parseName);
  return {
    rows: values.rows === undefined ? undefined : parseCount('--rows', values.rows),
    rounds: values.rounds === undefined ? undefined : parseCount('--rounds', values.rounds),
    only: only.length > 0 ? only : typedKeys(benchmarkNames),
    peers: list(values.peers),
    json: values.json ?? DEFAULT_FILE,
    help: values.help ?? false,
  };
}

function parseName(name: string): BenchmarkName | StudyName {
  const names = [...typedKeys(benchmarkNames), ...typedKeys(studyNames)];
  const found = names.find((known) => known === name);
  if (found !== undefined) return found;
  throw new OptionsError(`There is no benchmark "${name}". There is: ${names.join(', ')}.`);
}

const typedKeys = <Name extends string>(names: Readonly<Record<Name, string>>): Name[] =>
  Object.keys(names) as Name[];

/** In a directory that git ignores. */
const DEFAULT_FILE = '.cache/bench/results.json';

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        rows: { type: 'string' },
        rounds: { type: 'string' },
        only: { type: 'string' },
        peers: { type: 'string' },
        json: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new OptionsError(error instanceof Error ? error.message : String(error));
  }
}

const list = (value: string | undefined): string[] =>
  (value ?? '')
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

const FACTORS: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6 };

/** Parses `200000`, `200k`, `1M` or `2.5M`. */
export function parseCount(option: string, text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)([kKmM]?)$/.exec(text) ?? [];
  const count = Number(digits) * (FACTORS[unit.toLowerCase()] ?? Number.NaN);
  if (digits === '' || !Number.isSafeInteger(count) || count < 1) {
    throw new OptionsError(`${option} takes a number such as 200000, 200k or 1M, not "${text}".`);
  }
  return count;
}

const described = (names: Readonly<Record<string, string>>): string =>
  Object.entries(names)
    .map(([name, about]) => `  ${name.padEnd(14)}  ${about}`)
    .join('\n');

export const helpText = `npm run bench -- [options]

  --only a,b      only these benchmarks or studies (default: all benchmarks)
  --rows 1M       rows per table: 200k, 1M, 10M; shapes scale to 256 MB per million rows
  --rounds 3      rounds after the warm-up
  --peers a,b     only these peers, by the beginning of their names
  --json FILE     where results are written; results of other benchmarks in it are kept (${DEFAULT_FILE})
  --help

Benchmarks:
${described(benchmarkNames)}

Studies, which print an answer and write no results:
${described(studyNames)}
`;
