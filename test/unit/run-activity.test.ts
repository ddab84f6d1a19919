import { setTimeout as sleep } from 'node:timers/promises';
import { CancelledFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import { runActivity } from '../../src/activities/run-activity.ts';

test('an activity that is cancelled while it waits for a timer is cancelled, not failed', async () => {
  const environment = new MockActivityEnvironment();
  const waiting = environment.run(async () =>
    runActivity('waiting', async ({ signal }) => sleep(60_000, undefined, { signal })),
  );
  environment.cancel('CANCELLED');
  await expect(waiting).rejects.toBeInstanceOf(CancelledFailure);
});
