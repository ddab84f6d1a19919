import { Context, log } from '@temporalio/activity';
import { dropAbandoned, findUnderWay } from '../bronze/abandoned-runs.ts';
import type { RunIdentity } from '../contract/activities.ts';
import { DatakitError } from '../contract/failures.ts';
import { wholeOf } from '../contract/run-parts.ts';
import type { Session } from '../postgres/session.ts';
import type { Dependencies } from './dependencies.ts';
import { APPLICATION } from '../postgres/application-name.ts';

/** What Temporal says of a workflow; `unknown` where it was not to be had. */
type Life = 'running' | 'over' | 'unknown';

/**
 * Lets a run of a target begin only when no other is under way, and drops what others have left that are over.
 *
 * @throws {DatakitError} AlreadyRunning, which is tried again for some time
 */
export async function requireNoOtherRun(session: Session, target: string, runId: string): Promise<void> {
  for (const other of await findUnderWay(session, workflowNamespace(), target)) {
    if (other.runId === runId) continue;
    const life = await lifeOf(other);
    if (life === 'over') await dropAbandoned(session, other.runId);
    if (life !== 'running') continue;
    throw new DatakitError(
      'AlreadyRunning',
      `bronze.${target} is being extracted by the workflow "${other.workflowId}"`,
    );
  }
}

/** Drops what runs of any target have left whose workflows were terminated. */
export async function sweepAbandoned(session: Session): Promise<void> {
  for (const run of await findUnderWay(session, workflowNamespace(), undefined)) {
    if ((await lifeOf(run)) !== 'over') continue;
    await dropAbandoned(session, run.runId);
    log.info('dropped what a terminated run had left', { ...run });
  }
}

/**
 * For an activity that was given up: when that is because its workflow is over, nobody else is left
 * to drop what the run has staged.
 */
export async function dropWhenTerminated(
  { warehouse }: Dependencies,
  runIdOf: (session: Session) => Promise<string>,
): Promise<void> {
  const { cancellationDetails, info } = Context.current();
  if (cancellationDetails?.notFound !== true) return;
  const { workflowId } = info.workflowExecution ?? { workflowId: '' };
  await warehouse.transaction({ applicationName: APPLICATION, mode: 'READ WRITE' }, async (session) => {
    const runId = await runIdOf(session);
    if ((await lifeOf({ runId, workflowId })) === 'over') await dropAbandoned(session, runId);
  });
}

/** Where the workflow of the activity is: of runs of another namespace sharing the warehouse it cannot be known whether they live. */
export const workflowNamespace = (): string => Context.current().info.namespace;

/** A run is known by its first execution: a later one of the same workflow may be it still, after a reset. */
async function lifeOf({ runId, workflowId }: RunIdentity): Promise<Life> {
  try {
    const { client } = Context.current();
    const { status, raw } = await client.workflow.getHandle(workflowId).describe();
    const first = raw.workflowExecutionInfo?.firstRunId;
    return status.name === 'RUNNING' && first === wholeOf(runId) ? 'running' : 'over';
  } catch (error) {
    return error instanceof Error && error.name === 'WorkflowNotFoundError' ? 'over' : 'unknown';
  }
}
