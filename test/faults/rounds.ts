import { randomInt } from 'node:crypto';
import { expect } from 'vitest';
import { faults } from './faults.ts';
import { FaultStack } from './fault-stack.ts';
import { Matrix, type Aim } from './matrix.ts';
import { seeded } from '../setup/seeded.ts';

/** The name of a fault, and its target. */
export type NamedAim = readonly [string, Aim['moment'], Aim['mode']];

/** Runs a round for each; all must be exact, with nothing copied twice and nothing left behind. */
export async function expectExactRounds(aims: readonly NamedAim[]): Promise<void> {
  const seed = randomInt(2 ** 31);
  await using stack = await FaultStack.open({ workers: 2 });
  const matrix = new Matrix(stack, seeded(seed));
  for (const [name, moment, mode] of aims) {
    const fault = faults.find((one) => one.name === name);
    if (fault === undefined) throw new Error(`there is no fault "${name}"`);
    const hits = await matrix.round({ fault, moment, mode });
    expect(
      hits.filter(({ problems }) => problems.length > 0),
      `seed ${seed}`,
    ).toEqual([]);
    expect(hits.length, `seed ${seed}`).toBeGreaterThan(0);
  }
}
