import { Context, log } from '@temporalio/activity';
import {
  dropAbandoned,
  findUnderWay,
  PAGE_OF_RUNS,
  type RunUnderWay,
} from '../bronze/bookkeeping/abandoned-runs.ts';
import type { RunIdentity } from '../contract/activities.ts';
import { DatakitError } from '../contract/failures.ts';
import { wholeOf } from '../contract/run-parts.ts';
import type { Session } from '../postgres/session.ts';
import type { Dependencies } from './dependencies.ts';

/** What Temporal says of a workflow; `unknown` where it was not to be had. */
type Life = 'running' | 'over' | 'unknown';

/**
 * Lets a run of a target begin only when no other is under way, and drops what others have left that are over.
 *
 * @throws {DatakitError} AlreadyRunning, which is tried again for some time
 */
export async function requireNoOtherRun(session: Session, target: string, runId: string): Promise<void> {
  for (const other of await findUnderWay(session, { namespaces: [workflowNamespace()], target })) {
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

/** Drops what runs of any target have left whose workflows were terminated; of the first of very many, since somebody waits. */
export async function sweepAbandoned(session: Session): Promise<void> {
  const { abandoned } = await findAbandoned(session, { most: PAGE_OF_RUNS });
  for (const run of abandoned) {
    await dropAbandoned(session, run.runId);
    log.info('dropped what a terminated run had left', { ...run });
  }
}

export interface Abandoned {
  readonly abandoned: readonly RunUnderWay[];
  /** How many are under way, or may be. */
  readonly leftAlone: number;
}

/** Runs that the manifest has as under way, and whose workflows are over or not there any more. */
export async function findAbandoned(
  session: Session,
  { lostNamespaces = [], most = Infinity }: { lostNamespaces?: readonly string[]; most?: number },
): Promise<Abandoned> {
  const namespaces = [workflowNamespace(), ...lostNamespaces];
  const abandoned: RunUnderWay[] = [];
  let seen = 0;
  for (let after: string | undefined; seen < most;) {
    const runs = await findUnderWay(session, { namespaces, ...(after !== undefined && { after }) });
    for (const run of runs) {
      const isOver = lostNamespaces.includes(run.namespace) || (await lifeOf(run)) === 'over';
      if (isOver) abandoned.push(run);
    }
    seen += runs.length;
    after = runs.at(-1)?.runId;
    if (after === undefined) break;
  }
  return { abandoned, leftAlone: seen - abandoned.length };
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
  await warehouse.write({}, async (session) => {
    const runId = await runIdOf(session);
    if ((await lifeOf({ runId, workflowId })) === 'over') await dropAbandoned(session, runId);
  });
}

/** Where the workflow of the activity is: of runs of another namespace sharing the warehouse it cannot be known whether they live. */
export const workflowNamespace = (): string => Context.current().info.namespace;

/** Whether a run is under way, as far as Temporal can be asked of it. */
export const isRunning = async (run: RunIdentity): Promise<boolean> => (await lifeOf(run)) === 'running';

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
