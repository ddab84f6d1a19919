import { afterAll, beforeAll, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectNoIdLost, expectNothingLost } from './many-runs.ts';

/** Enough for several rows to be late; the long suite has a hundred. */
const ROUNDS = 5;

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

test('runs under writers that commit out of order lose nothing and double nothing, in append and in merge', async () => {
  await expectNothingLost(lab, ROUNDS);
});

test(
  'ids that are taken in one order and committed in another are all there, each once, without a lookback',
  { tags: 'long' },
  async () => {
    await expectNoIdLost(lab, ROUNDS);
  },
);
