import type { SchemaChange } from '../../contract/incremental.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { addColumns, missingColumns, type BronzeTable, type ColumnDefinition } from './bronze-table.ts';
import { takeCurrentView } from './current-view.ts';
import { lockExclusively } from '../readers.ts';
import { orSchemaConflict } from './schema-conflict.ts';

/**
 * Changes a bronze table that has rows to fit what a run read.
 *
 * A longer varchar or numeric only changes the catalog; from one integer type to another, or to numeric, PostgreSQL
 * rewrites all rows while readers wait.
 *
 * @param wanted every column that the run writes, including metadata
 */
export async function settleSchema(
  session: Session,
  bronze: BronzeTable,
  wanted: readonly ColumnDefinition[],
  present: readonly ColumnDefinition[],
  changes: readonly SchemaChange[],
): Promise<void> {
  const missing = missingColumns(wanted, present);
  const widened = changes.filter(({ change }) => change === 'widened');
  if (missing.length === 0 && widened.length === 0) return;
  await lockExclusively(session, bronze);
  await addColumns(session, bronze, missing);
  if (widened.length === 0) return;
  const view = await takeCurrentView(session, bronze.name);
  const collations = new Map(present.map(({ name, collation = '' }) => [name, collation]));
  for (const { column, to } of widened)
    await widen(session, bronze, column, `${to ?? ''} ${collations.get(column) ?? ''}`.trimEnd());
  await view?.putBack();
}

async function widen(session: Session, bronze: BronzeTable, column: string, type: string): Promise<void> {
  await orSchemaConflict(
    `Column ${quoteName(column)} of ${bronze.schema}.${bronze.name} cannot be changed to ${type}, its type in the source`,
    async () =>
      session.query(`ALTER TABLE ${quoteTable(bronze)} ALTER COLUMN ${quoteName(column)} TYPE ${type}`),
  );
}
