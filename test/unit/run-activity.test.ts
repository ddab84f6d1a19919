import { setTimeout as sleep } from 'node:timers/promises';
import { CancelledFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { runActivity } from '../../src/activities/run-activity.ts';
import { DatakitError } from '../../src/contract/failures.ts';

test('an activity that is cancelled while it waits for a timer is cancelled, not failed', async () => {
  const environment = new MockActivityEnvironment();
  const waiting = environment.run(async () =>
    runActivity('waiting', async ({ signal }) => sleep(60_000, undefined, { signal })),
  );
  environment.cancel('CANCELLED');
  await expect(waiting).rejects.toBeInstanceOf(CancelledFailure);
});

test('an activity that cannot clean up fails for what it failed for', async () => {
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  const work = async (): Promise<never> => Promise.reject(new DatakitError('StagingLost', 'it is gone'));
  const afterwards = async (): Promise<never> => Promise.reject(new Error('the warehouse is away'));
  await expect(
    environment.run(async () => runActivity('copying', work, { afterwards })),
  ).rejects.toMatchObject({ type: 'StagingLost' });
});
