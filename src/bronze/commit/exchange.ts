import { DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Writer } from '../../postgres/batch.ts';
import type { Session } from '../../postgres/session.ts';
import {
  addColumns,
  adoptColumns,
  createBronzeTable,
  findBronzeTable,
  missingColumns,
  readColumnDefinitions,
  type BronzeTable,
  type ColumnDefinition,
} from '../schema/bronze-table.ts';
import { takeCurrentView } from '../schema/current-view.ts';
import { readOwnIndexes, restoreIndexNames } from '../schema/indexes.ts';
import { BRONZE, STORAGE, storageName } from '../layout.ts';
import { endStrayWriters, type StoredPlan } from '../bookkeeping/plans.ts';
import { lockExclusively, requireNoOldSnapshot } from '../readers.ts';
import { orSchemaConflict } from '../schema/schema-conflict.ts';
import { widens } from '../schema/type-widening.ts';

/**
 * Replaces the rows that the bronze table shows with those of a prepared staging table.
 *
 * Readers wait for the few catalog changes here; no row is moved.
 *
 * @throws {DatakitError} LockTimeout while a reader with an older snapshot blocks rows of this transaction
 */
export async function exchangeRows(session: Session, stored: StoredPlan): Promise<void> {
  const { planId, staging, plan } = stored;
  if (stored.unseen !== true) {
    // first, so that no reader waits because somebody uses the staging table
    await endStrayWriters(session, staging);
    await lockExclusively(session, staging);
  }
  const found = await findBronzeTable(session, plan.target);
  if (found === undefined) await createBronzeTable(session, plan.target, staging);
  await lockExclusively(session, { schema: BRONZE, name: plan.target });
  // again, for readers that came while the lock was waited for
  if (stored.unseen === true) await requireNoOldSnapshot(session, { schema: BRONZE, name: plan.target });
  const bronze = await findBronzeTable(session, plan.target);
  if (bronze === undefined)
    throw new DatakitError('StagingLost', `${BRONZE}.${plan.target} was dropped during the run`);
  const ownIndexes = bronze.storage === undefined ? [] : await readOwnIndexes(session, bronze.storage);
  if (bronze.storage !== undefined) await dropStorage(session, bronze, bronze.storage);
  if (found !== undefined) await settleColumns(session, bronze, staging);
  await attach(session, bronze, staging, storageName(plan.target, planId));
  await restoreIndexNames(session, ownIndexes, staging, STORAGE);
}

/** @throws {DatakitError} SchemaConflict if people made something that depends on it */
async function dropStorage(session: Session, bronze: TableName, storage: TableName): Promise<void> {
  await orSchemaConflict(
    `Something depends on ${formatTableName(storage)}, which is dropped when its rows are replaced; what people make belongs on ${formatTableName(bronze)}`,
    async () => dropStorages(session, [storage]),
  );
}

/** Drops storage tables, which detaches them too. */
export async function dropStorages(writer: Writer, storages: readonly TableName[]): Promise<void> {
  if (storages.length > 0) await writer.query(`DROP TABLE ${storages.map(quoteTable).join(', ')}`);
}

export async function attachStorage(writer: Writer, bronze: TableName, storage: TableName): Promise<void> {
  await writer.query(`ALTER TABLE ${quoteTable(bronze)} ATTACH PARTITION ${quoteTable(storage)} DEFAULT`);
}

/**
 * Aligns the columns of both. Bronze may have gained some after the staging table was prepared. While it has no
 * partition the parent has no rows, so that any change of a column costs nothing. Values in partitions of others are
 * kept.
 */
async function settleColumns(session: Session, bronze: BronzeTable, staging: TableName): Promise<void> {
  const wanted = await readColumnDefinitions(session, staging);
  const present = await readColumnDefinitions(session, bronze);
  await adoptColumns(session, bronze, staging, present, wanted);
  await addColumns(session, bronze, missingColumns(wanted, present));
  const types = new Map(wanted.map(({ name, type }) => [name, type]));
  const changed = present.filter(({ name, type }) => type !== (types.get(name) ?? type));
  if (changed.length === 0) return;
  const view = await takeCurrentView(session, bronze.name);
  for (const column of changed)
    await changeType(session, bronze, column, types.get(column.name) ?? column.type);
  await view?.putBack();
}

async function changeType(
  session: Session,
  bronze: BronzeTable,
  { name, type: before }: ColumnDefinition,
  type: string,
): Promise<void> {
  const column = quoteName(name);
  const problem = `Column ${column} of ${bronze.schema}.${bronze.name} is now ${type} in the source and ${before} in bronze`;
  if (bronze.hasOthers && !widens(before, type)) {
    throw new DatakitError(
      'SchemaConflict',
      `${problem}, and a partition that is not ours has values that may not fit: detach it`,
    );
  }
  const using = bronze.hasOthers ? '' : ` USING NULL::${type}`;
  await orSchemaConflict(`${problem}, and something depends on it`, async () =>
    session.query(`ALTER TABLE ${quoteTable(bronze)} ALTER COLUMN ${column} TYPE ${type}${using}`),
  );
}

async function attach(
  session: Session,
  bronze: BronzeTable,
  staging: TableName,
  name: string,
): Promise<void> {
  // for the target "plan" both names are the same, and PostgreSQL refuses to rename a table to its own name
  if (name !== staging.name)
    await session.query(`ALTER TABLE ${quoteTable(staging)} RENAME TO ${quoteName(name)}`);
  const renamed = quoteTable({ schema: staging.schema, name });
  await session.query(`ALTER TABLE ${renamed} SET SCHEMA ${STORAGE}`);
  await orSchemaConflict(
    `The new rows do not fit the columns and constraints of ${bronze.schema}.${bronze.name}`,
    async () => attachStorage(session, bronze, { schema: STORAGE, name }),
  );
}
