// @module-tag long
import { test } from 'vitest';
import { expectWithinLimits } from './many-tables.ts';

test('a run of ten thousand tables ends within the limits of a history, and so does the largest payload', async () => {
  await expectWithinLimits(10_000, 10_000);
});
