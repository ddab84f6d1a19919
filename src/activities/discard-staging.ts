import { closeFailed } from '../bronze/manifest.ts';
import { dropPlansOfRun } from '../bronze/plans.ts';
import type { DiscardRequest } from '../contract/activities.ts';
import { applicationName } from '../postgres/session-settings.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

export async function discardStaging(
  { warehouse, ready }: Dependencies,
  { runId, outcome }: DiscardRequest,
): Promise<void> {
  await runActivity('dropping what the run had staged', async ({ signal }) => {
    await ready();
    const limits = { applicationName: applicationName(runId), mode: 'READ WRITE', signal } as const;
    await warehouse.transaction(limits, async (session) => {
      await dropPlansOfRun(session, runId);
      await closeFailed(session, runId, outcome);
    });
  });
}
