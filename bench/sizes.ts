import { totalmem } from 'node:os';
import { compare } from './against-peers.ts';
import type { Bench } from './bench.ts';
import { eventsCase } from './cases.ts';
import { growthOf } from './growth.ts';
import { inTurn } from './in-turn.ts';
import type { Measured, Section } from './result.ts';
import { medianOf, secondsOf } from './statistics.ts';

/** Measures common pandas scripts at every size they finish in reasonable time, to see how they grow. */
export async function pandasTable(bench: Bench): Promise<Section> {
  return bySize(bench, {
    title: 'Scripts with pandas',
    about: `The same table at several sizes, copied by common pandas scripts, this project and a psql pipe. A size that would take more than ${LONGEST_SECONDS} s, or more than half of the machine's memory, is not measured. ≈ is extrapolated linearly from the two sizes of the exponent.`,
    factors: [0.01, 0.1, 1, 10],
    peers: ['pandas', 'psql | psql, binary'],
    rounds: 1,
    inReach,
  });
}

/** Measures this project and the psql pipe from one size to ten times that size. */
export async function growth(bench: Bench): Promise<Section> {
  return bySize(bench, {
    title: 'Growth',
    about: 'The same table at three sizes. Linear growth has an exponent of 1. ≈ is extrapolated linearly.',
    factors: [1, 3, 10],
    peers: ['psql | psql, binary'],
    rounds: 2,
  });
}

interface Sizes {
  readonly title: string;
  readonly about: string;
  /** Multiples of the requested rows. */
  readonly factors: readonly number[];
  readonly peers: readonly string[];
  readonly rounds: number;
  /** Decides whether to measure a size, given a subject's results at smaller ones; always measured if omitted. */
  readonly inReach?: (measured: readonly Measured[], rows: number) => boolean;
}

async function bySize(bench: Bench, sizes: Sizes): Promise<Section> {
  const { title, about, factors, peers, rounds, inReach: reached = () => true } = sizes;
  const { stack, options } = bench;
  const { entries, leftOut } = await compare(bench, peers, async (subjects) => {
    const all: Measured[] = [];
    for (const factor of factors) {
      const rows = Math.ceil((options.rows ?? 1_000_000) * factor);
      const able = subjects.filter(({ name }) => reached(of(all, name), rows));
      if (able.length === 0) break;
      const copied = await eventsCase(stack.sourceUrl, rows);
      all.push(...(await inTurn(stack, able, copied, { rounds: options.rounds ?? rounds })));
    }
    return all;
  });
  return { kind: 'times', title, about, sizes: true, entries, leftOut };
}

const of = (entries: readonly Measured[], name: string): Measured[] =>
  entries.filter(({ subject }) => subject === name);

/** A run is skipped if the smaller sizes predict that it takes longer. */
const LONGEST_SECONDS = 90;

/**
 * Predicts from smaller sizes whether a subject can copy this many rows, in terms of time and memory. Two sizes are
 * always measured, since one alone predicts nothing.
 */
export function inReach(measured: readonly Measured[], rows: number, memory = totalmem()): boolean {
  const [first, last] = measured.slice(-2);
  if (first === undefined || last === undefined) return first?.failed === undefined;
  if (last.failed !== undefined) return false;
  const expected = (what: (entry: Measured) => number): number =>
    growthOf([first.rows, last.rows], [what(first), what(last)]).at(rows);
  return expected(secondsOf) <= LONGEST_SECONDS && expected(memoryOf) <= memory / 2;
}

const memoryOf = ({ samples }: Measured): number => medianOf(samples, ({ memory }) => memory.tool);
