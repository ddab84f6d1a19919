import { parseArgs } from 'node:util';

/** What `npm run bench` is asked for. */
export interface BenchOptions {
  /** Rows of the tables; each benchmark has its own number where it is left out. */
  readonly rows: number | undefined;
  readonly rounds: number | undefined;
  readonly only: readonly string[];
  readonly peers: readonly string[];
  readonly json: string;
  readonly help: boolean;
}

/** An option that is not known, or a value that is not one. */
export class OptionsError extends Error {}

/** @throws {OptionsError} says which option and what it takes */
export function parseOptions(args: readonly string[], benchmarks: readonly string[]): BenchOptions {
  const { values, positionals } = parse(args);
  const only = [...positionals, ...list(values.only)];
  const unknown = only.find((name) => !benchmarks.includes(name));
  if (unknown !== undefined) {
    throw new OptionsError(`There is no benchmark "${unknown}". There is: ${benchmarks.join(', ')}.`);
  }
  return {
    rows: values.rows === undefined ? undefined : parseCount('--rows', values.rows),
    rounds: values.rounds === undefined ? undefined : parseCount('--rounds', values.rounds),
    only,
    peers: list(values.peers),
    json: values.json ?? DEFAULT_FILE,
    help: values.help ?? false,
  };
}

/** Below what git ignores. */
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

/** `200000`, `200k`, `1M`, `2.5M`. */
export function parseCount(option: string, text: string): number {
  const [, digits = '', unit = ''] = /^(\d+(?:\.\d+)?)([kKmM]?)$/.exec(text) ?? [];
  const count = Number(digits) * (FACTORS[unit.toLowerCase()] ?? Number.NaN);
  if (digits === '' || !Number.isSafeInteger(count) || count < 1) {
    throw new OptionsError(`${option} takes a number such as 200000, 200k or 1M, not "${text}".`);
  }
  return count;
}

export const helpText = (benchmarks: Readonly<Record<string, string>>): string => `npm run bench -- [options]

  --only a,b      these benchmarks; without it all that are marked with *
  --rows 1M       rows of the tables: 200k, 1M, 10M
  --rounds 3      rounds after the one that warms up
  --peers a,b     these peers only, by the beginnings of their names
  --json FILE     where results are written, and those of other benchmarks kept (${DEFAULT_FILE})
  --help

Benchmarks:
${Object.entries(benchmarks)
  .map(([name, about]) => `  ${name.padEnd(14)}  ${about}`)
  .join('\n')}
`;
