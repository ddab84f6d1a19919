// @module-tag long
import { afterAll, beforeAll, test } from 'vitest';
import { Lab } from '../setup/lab.ts';
import { expectNoIdLost, expectNothingLost } from './many-runs.ts';

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.open();
});
afterAll(async () => lab.close());

test('a hundred runs under writers that commit out of order lose nothing and double nothing', async () => {
  await expectNothingLost(lab, 100);
});

test('ids that are taken in one order and committed in another are all there after a hundred runs', async () => {
  await expectNoIdLost(lab, 100);
});
