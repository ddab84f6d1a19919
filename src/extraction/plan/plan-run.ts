import { findPartitionRecords } from '../../bronze/bookkeeping/partition-records.ts';
import type { ExtractionPlan } from '../../bronze/plan.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { chosenSettings } from '../../contract/session-settings.ts';
import { Catalog } from '../../postgres/catalog/catalog.ts';
import type { Database } from '../../postgres/database.ts';
import type { SessionLimits } from '../../postgres/session-settings.ts';
import type { Session } from '../../postgres/session.ts';
import { namingLocked } from '../copy/locked-partitions.ts';
import { chosenTarget, planTable } from './plan-table.ts';
import { settleLimit, type Ask } from '../increment/settle-limit.ts';
import { settleStatistics } from '../partitions/settle-statistics.ts';

export interface PlanLimits extends SessionLimits {
  readonly lockTimeout: number;
  readonly signal: AbortSignal;
}

/** A table that somebody has locked is asked for again later: to plan holds nobody up for longer. */
export const LONGEST_LOCK_TIMEOUT = 10_000;

/** Of the sessions that plan; a setting that the source does not take is refused then, before anything is copied. */
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

/** Plans a run in one transaction of the source, and asks in others what cannot be seen from that one. */
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

/** Why statistics that are read from now on may lack a change that was committed before, where that is so. */
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
