import type { BeforeSnapshot } from '../bronze/database-runs.ts';
import type { ExtractionPlan } from '../bronze/plan.ts';
import type { Snapshot } from '../contract/activities.ts';
import type { ExtractTableInput } from '../contract/extract-table.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatTableName } from '../contract/table-name.ts';
import type { Database } from '../postgres/database.ts';
import type { Session } from '../postgres/session.ts';
import { enterSnapshot } from '../postgres/snapshot.ts';
import { planTable } from './plan-table.ts';
import { settleLimit } from './settle-limit.ts';

/** A table that somebody has locked is asked for again later. */
const LOCK_TIMEOUT = 10_000;

export interface Planning {
  readonly source: Database;
  /** A session of the warehouse. */
  readonly target: Session;
  readonly input: ExtractTableInput;
  readonly limits: { readonly applicationName: string; readonly signal: AbortSignal };
}

/** Plans a table before its snapshot is taken: in one transaction, while that writers end is seen from others. */
export async function planSettled({ source, target, input, limits }: Planning): Promise<ExtractionPlan> {
  const ask = async <T>(work: (session: Session) => Promise<T>) =>
    source.transaction({ ...limits, ...READING }, work);
  return settleLimit(await ask(async (session) => planTable(session, target, input, source)), ask);
}

/** Plans a table as a snapshot has it that was taken before. */
export async function planInSnapshot(
  { source, target, input, limits }: Planning,
  snapshot: Snapshot,
  before: BeforeSnapshot | undefined,
): Promise<ExtractionPlan> {
  return source.transaction({ ...limits, ...READING }, async (session) => {
    await enterSnapshot(session, snapshot);
    return planAsOf(session, target, { source, input, before });
  });
}

/**
 * Plans a table in a transaction that has entered a snapshot.
 *
 * @throws {DatakitError} PlanOutdated where an increment must not be read from it: others have written to bronze what
 *   may be newer, or how far the checkpoint may move was not found before
 */
export async function planAsOf(
  session: Session,
  target: Session,
  { source, input, before }: Pick<Planning, 'source' | 'input'> & { before: BeforeSnapshot | undefined },
): Promise<ExtractionPlan> {
  const known = before?.increment;
  const table = formatTableName(input.table);
  if (input.incremental !== undefined && known === undefined) {
    throw new DatakitError('PlanOutdated', `The checkpoint of ${table} was not bounded before the snapshot`);
  }
  const plan = await planTable(session, target, input, source, known?.limit);
  if (plan.incremental !== undefined && plan.incremental.base !== known?.base) {
    throw new DatakitError(
      'PlanOutdated',
      `${table} was extracted by another run after the snapshot was taken`,
    );
  }
  return before === undefined ? plan : { ...plan, order: before.order };
}

const READING = { lockTimeout: LOCK_TIMEOUT, mode: 'ISOLATION LEVEL REPEATABLE READ READ ONLY' } as const;
