// @module-tag long
import { test } from 'vitest';
import { expectExactRounds } from './rounds.ts';

/** What takes away a worker, a server or a network is in the long suite too, and all at all moments in `npm run test:faults`. */
test(
  'faults at random moments: exact, nothing copied twice, nothing left',
  { timeout: 300_000 },
  async () => {
    await expectExactRounds([
      ['the warehouse crashes and is started again', 'commit', 'append'],
      ['connections to the warehouse are cut', 'between chunks', 'replace'],
    ]);
  },
);
