import type { SchemaChange } from '../../contract/incremental.ts';
import type { Session } from '../../postgres/session.ts';
import { readColumnDefinitions, type BronzeTable, type ColumnDefinition } from './bronze-table.ts';
import { BRONZE } from '../layout.ts';
import { findColumnsOfLastRun } from '../bookkeeping/manifest.ts';
import type { StoredPlan } from '../bookkeeping/plans.ts';
import { findDrift, type Schemas } from './schema-drift.ts';
import { settleSchema } from './settle-schema.ts';

export interface Following extends Pick<Schemas, 'policy'> {
  /** Columns that the run writes besides those that it read. */
  readonly metadata: readonly ColumnDefinition[];
}

export interface Followed {
  readonly changes: readonly SchemaChange[];
  /** The columns of the bronze table after the changes. */
  readonly present: readonly ColumnDefinition[];
}

/**
 * Adapts a bronze table that keeps its rows to those that a run brings: new columns are added, NULL in existing
 * rows, and wider types are adopted.
 *
 * @throws {DatakitError} SchemaChanged for what cannot be followed, and with `freeze` for every change
 */
export async function followSchema(
  session: Session,
  bronze: BronzeTable,
  { plan }: StoredPlan,
  { policy, metadata }: Following,
): Promise<Followed> {
  const before = await readColumnDefinitions(session, bronze);
  const changes = findDrift({
    target: `${BRONZE}.${plan.target}`,
    planned: plan.columns,
    bronze: before,
    previous: await findColumnsOfLastRun(session, plan.target),
    policy,
  });
  await settleSchema(session, bronze, [...plan.columns, ...metadata], before, changes);
  return { changes, present: await readColumnDefinitions(session, bronze) };
}
