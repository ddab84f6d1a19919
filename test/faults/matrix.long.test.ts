// @module-tag long
import { test } from 'vitest';
import { expectExactRounds } from './rounds.ts';

/** One round of each kind of fault; `npm run test:faults` has all of them, at all moments. */
test('faults at random moments: exact, nothing copied twice, nothing left', async () => {
  await expectExactRounds([
    ['all workers are killed (SIGKILL)', 'copying', 'merge'],
    ['the warehouse crashes and is started again', 'commit', 'append'],
    ['the source crashes and is started again', 'first copy', 'capture'],
    ['connections to the warehouse are cut', 'between chunks', 'replace'],
  ]);
});
