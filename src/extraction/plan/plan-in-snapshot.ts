import type { BeforeSnapshot } from '../../bronze/bookkeeping/database-runs.ts';
import type { ExtractionPlan } from '../../bronze/plan.ts';
import { isSameBase } from '../../bronze/bookkeeping/targets.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { DatakitError } from '../../contract/failures.ts';
import { formatTableName } from '../../contract/table-name.ts';
import { Catalog } from '../../postgres/catalog/catalog.ts';
import type { Database } from '../../postgres/database.ts';
import type { Session } from '../../postgres/session.ts';
import { enterSnapshot } from '../../postgres/snapshot.ts';
import type { PlanLimits } from './plan-run.ts';
import { planTable } from './plan-table.ts';

export interface Planning {
  readonly source: Database;
  /** A session of the warehouse. */
  readonly target: Session;
  readonly input: ExtractTableInput;
  readonly limits: PlanLimits;
}

/** Plans a table as of an existing snapshot. */
export async function planInSnapshot(
  { source, target, input, limits }: Planning,
  snapshot: Snapshot,
  before: BeforeSnapshot | undefined,
): Promise<ExtractionPlan> {
  return source.read(limits, async (session) => {
    await enterSnapshot(session, snapshot);
    return planAsOf(new Catalog(session, source.host), target, { input, before });
  });
}

/**
 * Plans a table in a transaction that has entered a snapshot.
 *
 * @throws {DatakitError} PlanOutdated if an increment must not be read from it: other runs may have written newer
 *   rows to bronze, or how far the checkpoint may move was not found before the snapshot
 */
export async function planAsOf(
  catalog: Catalog,
  target: Session,
  { input, before }: Pick<Planning, 'input'> & { before: BeforeSnapshot | undefined },
): Promise<ExtractionPlan> {
  const known = before?.increment;
  const table = formatTableName(input.table);
  if (input.incremental !== undefined && known === undefined) {
    throw new DatakitError('PlanOutdated', `The checkpoint of ${table} was not bounded before the snapshot`);
  }
  const plan = await planTable(catalog, target, input, { inSnapshot: true, limit: known?.limit });
  const { incremental } = plan;
  if (incremental !== undefined && known !== undefined && !isSameBase(incremental, known)) {
    throw new DatakitError(
      'PlanOutdated',
      `${table} was extracted by another run after the snapshot was taken`,
    );
  }
  return before === undefined ? plan : { ...plan, order: before.order };
}
