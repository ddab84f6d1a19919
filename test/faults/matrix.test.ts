// @module-tag long
import { test } from 'vitest';
import { expectExactRounds } from './rounds.ts';

/** Two faults of the warehouse; matrix.long.test.ts has other kinds, and `npm run test:faults` all at all moments. */
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
