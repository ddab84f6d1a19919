import { Context, log } from '@temporalio/activity';
import { SNAPSHOT_EXPORTED_SIGNAL, type HoldSnapshotRequest, type Snapshot } from '../contract/activities.ts';
import { DatakitError } from '../contract/failures.ts';
import type { Session } from '../postgres/session.ts';
import { applicationName } from '../postgres/session-settings.ts';
import { exportSnapshot } from '../postgres/snapshot.ts';
import type { Dependencies } from './dependencies.ts';
import { runActivity } from './run-activity.ts';

/** How often the holder asks its session whether it still lives. */
const CHECK_INTERVAL = 1_000;

export async function holdSnapshot(
  { holdingSourceNamed }: Dependencies,
  { source, runId }: HoldSnapshotRequest,
): Promise<void> {
  await runActivity(`holding a snapshot of source "${source}"`, async ({ signal, report }) => {
    const limits = { applicationName: applicationName(runId), signal };
    await holdingSourceNamed(source).transaction(
      { ...limits, mode: 'ISOLATION LEVEL REPEATABLE READ READ ONLY' },
      async (session) => {
        const snapshot = await exportSnapshot(session);
        report(snapshot);
        await signalWorkflow(snapshot);
        log.info('holding a snapshot', { source, ...snapshot });
        await keepOpen(session);
      },
    );
  });
}

async function signalWorkflow(snapshot: Snapshot): Promise<void> {
  const { client, info } = Context.current();
  if (info.workflowExecution === undefined) throw new Error('a snapshot is held for a workflow only');
  const { workflowId, runId } = info.workflowExecution;
  await client.workflow.getHandle(workflowId, runId).signal(SNAPSHOT_EXPORTED_SIGNAL, snapshot);
}

/** Ends by cancellation, or by the loss of the session. */
async function keepOpen(session: Session): Promise<never> {
  const context = Context.current();
  for (;;) {
    await context.sleep(CHECK_INTERVAL);
    try {
      if (session.lost !== undefined) throw session.lost;
      await session.query('SELECT 1');
    } catch (error) {
      context.cancellationSignal.throwIfAborted();
      throw new DatakitError('SnapshotLost', 'The session that held the snapshot ended', { cause: error });
    }
  }
}
