import type { StoredPlan } from '../../bronze/bookkeeping/plans.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import { requireFreshReplica } from '../../postgres/replica-lag.ts';
import type { Session } from '../../postgres/session.ts';
import { enterSnapshot, type Moment } from '../../postgres/snapshot.ts';
import type { CopyContext } from './copy-context.ts';

/** A source session in a transaction that reads as of one snapshot. */
export interface Reading {
  readonly session: Session;
  readonly label: string;
  readonly moment: Moment;
}

/** Runs work in a source transaction with the limits of the plan, as of the snapshot or else one of its own. */
export async function readMoment<T>(
  { plan, runId }: StoredPlan,
  snapshot: Snapshot | undefined,
  { sourceNamed, signal }: Pick<CopyContext, 'sourceNamed' | 'signal'>,
  work: (reading: Reading) => Promise<T>,
): Promise<T> {
  const source = sourceNamed(plan.source);
  const limits = {
    run: runId,
    signal,
    lockTimeout: plan.lockTimeout,
    ...(plan.session !== undefined && { settings: plan.session }),
    ...(plan.idleTimeout !== undefined && { idleTimeout: plan.idleTimeout }),
    ...(plan.statementTimeout !== null && { statementTimeout: plan.statementTimeout }),
  };
  return source.read(limits, async (session) => {
    const moment = await enterSnapshot(session, snapshot);
    await requireFreshReplica(session, plan.maxReplicaLag);
    // a policy added after planning is then an error rather than a loss of rows
    if (plan.requireAllRows === true) await session.query('SET LOCAL row_security = off');
    return work({ session, label: source.label, moment });
  });
}
