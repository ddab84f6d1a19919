import { randomInt } from 'node:crypto';
import { expect, test } from 'vitest';
import { faults } from './faults.ts';
import { FaultStack } from './fault-stack.ts';
import { Matrix, type Aim } from './matrix.ts';
import { randomFrom } from './random.ts';

/** One round of each kind of fault that differs in what it takes away; `npm run test:faults` has all, at all moments. */
const aims: readonly [string, Aim['moment'], Aim['mode']][] = [
  ['all workers are killed (SIGKILL)', 'copying', 'merge'],
  ['the warehouse crashes and is started again', 'commit', 'append'],
  ['the source crashes and is started again', 'first copy', 'capture'],
  ['connections to the warehouse are cut', 'between chunks', 'replace'],
];

test(
  'faults at random moments: exact, nothing copied twice, nothing left',
  { timeout: 300_000 },
  async () => {
    const seed = randomInt(2 ** 31);
    await using stack = await FaultStack.open({ workers: 2 });
    const matrix = new Matrix(stack, randomFrom(seed));
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
  },
);
