import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { Writer } from '../../postgres/batch.ts';
import type { Session } from '../../postgres/session.ts';
import { adoptColumns, findBronzeTable, readColumnDefinitions } from '../schema/bronze-table.ts';
import { addConstraints } from '../schema/constraints.ts';
import { buildIndexes } from '../schema/indexes.ts';
import { ensureKeyIndex, requireKeys } from '../schema/key-index.ts';
import { keepReplicaIdentity } from '../schema/replica-identity.ts';
import { metadataColumns, type MetadataColumn } from '../layout.ts';
import type { ExtractionPlan } from '../plan.ts';
import { endStrayWriters, recordPrepared, type StoredPlan } from '../bookkeeping/plans.ts';
import { recordStaged } from './prepare-increment.ts';

/**
 * Turns a fully loaded staging table into what the bronze table's partition must be.
 *
 * Everything slow is done here, before the commit takes its locks, so that nobody waits for it.
 */
export async function prepareStaging(
  session: Session,
  { planId, runId, staging, plan, unseen }: StoredPlan,
): Promise<void> {
  if (unseen !== true) await endStrayWriters(session, staging);
  await keepFilled(session, staging, plan);
  const { now } = await session.one<{ now: string }>('SELECT clock_timestamp()::text AS now');
  await addConstants(session, staging, metadataColumns({ ...plan, loadedAt: now, runId }));
  const bronze = await findBronzeTable(session, plan.target);
  if (bronze !== undefined) await addVanishedColumns(session, bronze, staging);
  await buildIndexes(session, bronze?.storage, staging);
  await addConstraints(session, bronze?.storage, staging);
  await keepReplicaIdentity(session, bronze?.storage, staging);
  const { incremental } = plan;
  if (incremental !== undefined) {
    await requireKeys(session, staging, incremental);
    await ensureKeyIndex(session, staging, planId, incremental);
    await recordStaged(session, { planId, staging }, incremental);
  }
  await session.query(`ALTER TABLE ${quoteTable(staging)} RESET (autovacuum_enabled)`);
  await recordPrepared(session, planId);
}

/** Drops the expressions and defaults that filled columns during the load; the values stay. */
async function keepFilled(session: Session, staging: TableName, { columns }: ExtractionPlan): Promise<void> {
  const clauses = columns.flatMap(({ name, generated, namesPartition }) => [
    ...(generated === undefined ? [] : [`ALTER COLUMN ${quoteName(name)} DROP EXPRESSION`]),
    ...(namesPartition === undefined ? [] : [`ALTER COLUMN ${quoteName(name)} DROP DEFAULT`]),
  ]);
  if (clauses.length === 0) return;
  await session.query(`ALTER TABLE ${quoteTable(staging)} ${clauses.join(', ')}`);
}

/** Adds columns with a constant default for existing rows, which the catalog stores once: no row is written. */
export async function addConstants(
  writer: Writer,
  table: TableName,
  columns: readonly MetadataColumn[],
): Promise<void> {
  const add = columns.map(
    ({ name, type, value }) =>
      `ADD COLUMN ${name} ${type} DEFAULT ${value === null ? 'NULL' : quoteText(value)}`,
  );
  // DEFAULT NULL is no default. In one statement SET DEFAULT runs after ADD COLUMN; DROP DEFAULT would run before
  const forget = columns.map(({ name }) => `ALTER COLUMN ${name} SET DEFAULT NULL`);
  await writer.query(`ALTER TABLE ${quoteTable(table)} ${[...add, ...forget].join(', ')}`);
}

/** Adds columns that bronze has and the source no longer: they stay, NULL from now on unless they have a default. */
async function addVanishedColumns(session: Session, bronze: TableName, staging: TableName): Promise<void> {
  const wanted = await readColumnDefinitions(session, bronze);
  const present = await readColumnDefinitions(session, staging);
  await adoptColumns(session, bronze, staging, wanted, present);
}
