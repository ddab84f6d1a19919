import { Context } from '@temporalio/activity';
import { SNAPSHOT_EXPORTED_SIGNAL, type HeldSnapshot } from '../contract/activities.ts';
import type { Dependencies } from './dependencies.ts';
import { measureSnapshot } from './metrics.ts';

/** How often the holder looks whether its session still lives. */
const CHECK_INTERVAL = 1_000;

export interface Keeping {
  readonly source: string;
  readonly isStopping: Dependencies['isStopping'];
  /** Rejects when the session that holds it is gone. */
  readonly requireLife: () => Promise<void>;
}

/**
 * Tells the workflow of a snapshot and keeps it, until it is cancelled or its session is lost. A worker that was asked
 * to stop asks for somebody else to hold it, and keeps it for its grace.
 */
export async function keepSnapshot(
  held: HeldSnapshot,
  { source, isStopping, requireLife }: Keeping,
): Promise<never> {
  const { holder, snapshot } = held;
  let leaving = false;
  try {
    await signalWorkflow(held);
    for (;;) {
      measureSnapshot(holder, source, snapshot.takenAt);
      if (isStopping() && !leaving) {
        // where Temporal is not to be reached now it is tried again
        leaving = await signalWorkflow({ ...held, leaving: true }).then(
          () => true,
          () => false,
        );
      }
      await Context.current().sleep(CHECK_INTERVAL);
      await requireLife();
    }
  } finally {
    measureSnapshot(holder, source, undefined);
  }
}

async function signalWorkflow(held: HeldSnapshot): Promise<void> {
  const { client, info } = Context.current();
  if (info.workflowExecution === undefined) throw new Error('a snapshot is held for a workflow only');
  const { workflowId, runId } = info.workflowExecution;
  await client.workflow.getHandle(workflowId, runId).signal(SNAPSHOT_EXPORTED_SIGNAL, held);
}
