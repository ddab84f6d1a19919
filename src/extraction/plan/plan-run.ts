import { findPartitionRecords } from '../../bronze/bookkeeping/partition-records.ts';
import type { ExtractionPlan } from '../../bronze/plan.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { chosenSettings } from '../../contract/session-settings.ts';
import { Catalog } from '../../postgres/catalog/catalog.ts';
import type { Database } from '../../postgres/database.ts';
import type { SessionLimits } from '../../postgres/session-settings.ts';
import type { Session } from '../../postgres/session.ts';
import { namingLocked } from '../copy/locked-partitions.ts';
import { chosenTarget } from './chosen-target.ts';
import { planTable } from './plan-table.ts';
import type { Ask } from '../ask.ts';
import { settleLimit } from '../increment/settle-limit.ts';
import { settleStatistics } from '../partitions/settle-statistics.ts';

export interface PlanLimits extends SessionLimits {
  readonly lockTimeout: number;
  readonly signal: AbortSignal;
}

/** Milliseconds. Planning waits no longer for a locked table, which would hold up others; it is retried later. */
export const LONGEST_LOCK_TIMEOUT = 10_000;

/** Returns the limits of sessions that plan, where a setting that the source rejects fails before any copy. */
export function readingLimits(input: ExtractTableInput): SessionLimits & {
  readonly lockTimeout: number;
} {
  const { statementTimeout, lockTimeout, idleTimeout } = input;
  const settings = chosenSettings(input.tuning, input.session);
  return {
    lockTimeout: Math.min(lockTimeout, LONGEST_LOCK_TIMEOUT),
    ...(statementTimeout !== undefined && { statementTimeout }),
    ...(idleTimeout !== undefined && { idleTimeout }),
    ...(settings !== undefined && { settings }),
  };
}

/** Plans a run in one source transaction, and uses others for what that one cannot see. */
export async function planRun(
  source: Database,
  warehouse: Session,
  input: ExtractTableInput,
  limits: PlanLimits,
): Promise<ExtractionPlan> {
  const ask: Ask = async (work) => source.read(limits, work);
  const doubt = await doubtOfStatistics(ask, warehouse, input);
  const plan = await namingLocked(ask, input.table, async () =>
    ask(async (session) => planTable(new Catalog(session, source.host), warehouse, input, { doubt })),
  );
  return settleLimit(plan, input, ask);
}

/** Returns why statistics read from now on may lack a change committed earlier; undefined if they cannot. */
async function doubtOfStatistics(
  ask: Ask,
  warehouse: Session,
  input: ExtractTableInput,
): Promise<string | undefined> {
  if (input.onlyChanged !== true) return undefined;
  const records = await findPartitionRecords(warehouse, chosenTarget(input));
  const [since] = [...records.values()].map(({ seenAt }) => seenAt).toSorted();
  return since === undefined ? undefined : settleStatistics(ask, since);
}
