import type { SchemaChange } from '../../contract/incremental.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import {
  addColumns,
  missingColumns,
  readColumnDefinitions,
  type BronzeTable,
  type ColumnDefinition,
} from './bronze-table.ts';
import { findColumnsOfLastRun } from '../bookkeeping/manifest.ts';
import type { StoredPlan } from '../bookkeeping/plans.ts';
import { BRONZE } from '../layout.ts';
import { lockExclusively } from '../readers.ts';
import { takeCurrentView } from './current-view.ts';
import { orSchemaConflict } from './schema-conflict.ts';
import { findDrift, type Schemas } from './schema-drift.ts';

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
  const missing = missingColumns([...plan.columns, ...metadata], before);
  const widened = changes.filter(({ change }) => change === 'widened');
  if (missing.length === 0 && widened.length === 0) return { changes, present: before };
  await lockExclusively(session, bronze);
  await addColumns(session, bronze, missing);
  if (widened.length > 0) await widen(session, bronze, before, widened);
  return { changes, present: await readColumnDefinitions(session, bronze) };
}

/**
 * Changes the types of columns. A longer varchar or numeric only changes the catalog; from one integer type to another,
 * or to numeric, PostgreSQL rewrites all rows while readers wait.
 */
async function widen(
  session: Session,
  bronze: BronzeTable,
  before: readonly ColumnDefinition[],
  changes: readonly SchemaChange[],
): Promise<void> {
  const view = await takeCurrentView(session, bronze.name);
  const collations = new Map(before.map(({ name, collation = '' }) => [name, collation]));
  for (const { column, to } of changes) {
    const type = `${to ?? ''} ${collations.get(column) ?? ''}`.trimEnd();
    await orSchemaConflict(
      `Column ${quoteName(column)} of ${bronze.schema}.${bronze.name} cannot be changed to ${type}, its type in the source`,
      async () =>
        session.query(`ALTER TABLE ${quoteTable(bronze)} ALTER COLUMN ${quoteName(column)} TYPE ${type}`),
    );
  }
  await view?.putBack();
}
