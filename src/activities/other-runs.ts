import { Context, log } from '@temporalio/activity';
import proto from '@temporalio/proto';
import {
  dropAbandoned,
  findUnderWay,
  PAGE_OF_RUNS,
  type RunUnderWay,
} from '../bronze/bookkeeping/abandoned-runs.ts';
import { BRONZE } from '../bronze/layout.ts';
import type { RunIdentity } from '../contract/run-identity.ts';
import { DatakitError } from '../contract/failures.ts';
import { wholeOf } from '../contract/run-parts.ts';
import { commitHere } from '../postgres/commit-here.ts';
import type { Session } from '../postgres/session.ts';
import type { Dependencies } from './dependencies.ts';
import { isNotFound } from './grpc-status.ts';

/** The state of a workflow by Temporal; `unknown` if that could not be found out. */
type Life = 'running' | 'over' | 'unknown';

/**
 * Refuses to begin a run of a target while another is under way, and drops what runs that are over have left. So is
 * another part of the same run: no run has two parts with one target, so a reset, or a discard that failed, left it.
 *
 * @throws {DatakitError} AlreadyRunning, which is retried for some time
 */
export async function requireNoOtherRun(session: Session, target: string, runId: string): Promise<void> {
  for (const other of await findUnderWay(session, { namespaces: [workflowNamespace()], target })) {
    if (other.runId === runId) continue;
    const life = wholeOf(other.runId) === wholeOf(runId) ? 'over' : await lifeOf(other);
    if (life !== 'over') throw new DatakitError('AlreadyRunning', underWay(target, other, life));
    await dropAbandoned(session, other.runId);
  }
}

const underWay = (target: string, { workflowId }: RunIdentity, life: 'running' | 'unknown'): string =>
  life === 'running'
    ? `${BRONZE}.${target} is being extracted by the workflow "${workflowId}"`
    : `The workflow "${workflowId}" may be extracting ${BRONZE}.${target}: Temporal did not say whether it runs`;

/** Drops what terminated runs of any target have left; looks at only one page of runs, since a caller waits. */
export async function sweepAbandoned(session: Session): Promise<void> {
  const { abandoned } = await findAbandoned(session, { most: PAGE_OF_RUNS });
  for (const run of abandoned) {
    await dropAbandoned(session, run.runId);
    log.info('dropped what a terminated run had left', { ...run });
  }
}

export interface Abandoned {
  readonly abandoned: readonly RunUnderWay[];
  /** Number of runs that are, or may be, under way. */
  readonly leftAlone: number;
}

/** Finds runs that are under way by the manifest, but whose workflows are over or gone. */
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

/** Drops what a run has staged if its activity was given up because the workflow is over: nobody else will. */
export async function dropWhenTerminated(
  { warehouse }: Dependencies,
  runIdOf: (session: Session) => Promise<string>,
): Promise<void> {
  const { cancellationDetails, info } = Context.current();
  if (cancellationDetails?.notFound !== true) return;
  const { workflowId } = info.workflowExecution ?? { workflowId: '' };
  await warehouse.write({}, async (session) => {
    await commitHere(session);
    const runId = await runIdOf(session);
    if ((await lifeOf({ runId, workflowId })) === 'over') await dropAbandoned(session, runId);
  });
}

/** The namespace of the activity's workflow. Whether runs of other namespaces are alive cannot be known. */
export const workflowNamespace = (): string => Context.current().info.namespace;

/** Returns whether a run is under way, or may be. */
export const mayBeRunning = async (run: RunIdentity): Promise<boolean> => (await lifeOf(run)) !== 'over';

const { WORKFLOW_EXECUTION_STATUS_RUNNING } = proto.temporal.api.enums.v1.WorkflowExecutionStatus;

/** Identifies a run by its first execution: after a reset, a later one of the same workflow is still that run. */
async function lifeOf({ runId, workflowId }: RunIdentity): Promise<Life> {
  try {
    const { client, info } = Context.current();
    // a handle would decode the memo too, whose key may be gone
    const { workflowExecutionInfo: found } = await client.workflowService.describeWorkflowExecution({
      namespace: info.namespace,
      execution: { workflowId },
    });
    const isRunning = found?.status === WORKFLOW_EXECUTION_STATUS_RUNNING;
    return isRunning && found.firstRunId === wholeOf(runId) ? 'running' : 'over';
  } catch (error) {
    return isNotFound(error) ? 'over' : 'unknown';
  }
}
