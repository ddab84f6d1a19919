import type { LocalStack } from '../local/stack.ts';
import { formatDuration } from '../src/contract/quantities.ts';
import { measure, type Running } from './measure.ts';
import type { Measured, Sample } from './result.ts';
import { say } from './say.ts';
import { settle, withoutAutovacuum } from './settle.ts';

/** One of the alternatives being compared. */
export interface Way {
  readonly name: string;
  /** Existing processes that work for it. */
  readonly workers: readonly number[];
  /** Does the work that precedes a run and is not measured; the returned function starts the run. */
  prepare(): Promise<() => Running>;
}

interface Turns<W> {
  readonly rounds: number;
  /** Uncounted rounds at the start; one by default. */
  readonly warmUps?: number;
  /** Called before each round, to make the changes that all ways process. */
  readonly before?: (round: number) => Promise<void>;
  /** Called for a way that failed, which then gets no more turns; without it the failure is thrown. */
  readonly onFailure?: (way: W, reason: string) => void;
}

/** Measures the ways in turn (A B C A B C …), each after a checkpoint on both servers. */
export async function takeTurns<W extends Way>(
  stack: LocalStack,
  ways: readonly W[],
  { rounds, warmUps = 1, before, onFailure }: Turns<W>,
): Promise<Map<W, Sample[]>> {
  await withoutAutovacuum(stack);
  const samples = new Map<W, Sample[]>(ways.map((way) => [way, []]));
  const able = new Set(ways);
  for (let round = 1 - warmUps; round <= rounds; round += 1) {
    await before?.(round);
    for (const way of able) {
      try {
        const sample = await takeTurn(stack, way);
        if (round > 0) samples.get(way)?.push(sample);
        const label = round > 0 ? `round ${round}` : 'warm-up';
        say(`  ${label}: ${way.name} ${formatDuration(sample.seconds * 1000)}`);
      } catch (error) {
        if (onFailure === undefined) throw error;
        able.delete(way);
        onFailure(way, error instanceof Error ? error.message : String(error));
        say(`  ${way.name} failed, ${String(error)}`);
      }
    }
  }
  return samples;
}

async function takeTurn(stack: LocalStack, way: Way): Promise<Sample> {
  const start = await way.prepare();
  await settle(stack);
  return measure(stack, way.workers, start);
}

/** Turns the samples of each way into measurements of the same case. */
export const measuredWays = (
  samples: ReadonlyMap<Way, readonly Sample[]>,
  of: Pick<Measured, 'case' | 'rows' | 'bytes'>,
): Measured[] => [...samples].map(([way, taken]) => ({ ...of, subject: way.name, samples: taken }));
