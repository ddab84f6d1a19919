import { Context } from '@temporalio/activity';
import { SNAPSHOT_EXPORTED_SIGNAL, type HeldSnapshot } from '../contract/snapshot.ts';
import type { Dependencies } from './dependencies.ts';
import { measureSnapshot } from './metrics.ts';

/** Milliseconds between checks that the session is still alive. */
const CHECK_INTERVAL = 1_000;

export interface Keeping {
  readonly source: string;
  readonly isStopping: Dependencies['isStopping'];
  /** Rejects if the session that holds the snapshot is gone. */
  readonly requireLife: () => Promise<void>;
}

/**
 * Signals a snapshot to the workflow and keeps it until cancelled or its session is lost. A worker that was asked to
 * stop asks for another holder, and keeps the snapshot for its grace period.
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
        // if Temporal cannot be reached, try again next time
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
