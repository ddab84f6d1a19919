import { expect, test } from 'vitest';
import { MOST_RESTARTS, pauseAfter, pauseToBeginAgain } from '../../src/workflows/begin-again.ts';

test('a run that is lost again and again gives up, and says what it was lost to', async () => {
  await expect(pauseToBeginAgain(new Error('the session ended'), MOST_RESTARTS)).rejects.toMatchObject({
    type: 'SnapshotLost',
    nonRetryable: true,
    message: 'The run began again 10 times and was lost each time. the session ended',
  });
});

test('pauses between restarts grow to a minute', () => {
  expect([0, 1, 2, 5, 6, MOST_RESTARTS].map(pauseAfter)).toEqual([
    1_000, 2_000, 4_000, 32_000, 60_000, 60_000,
  ]);
});
