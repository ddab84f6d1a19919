import { DatakitError } from '../../contract/failures.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import type { TableName } from '../../contract/table-name.ts';
import { requireLoaded } from '../schema/bronze-table.ts';
import { followSchema } from '../schema/follow-schema.ts';
import { partitionIndexName } from '../schema/indexes.ts';
import { orUnidentified } from '../schema/replica-identity.ts';
import { BRONZE, metadataColumns, PARTITION } from '../layout.ts';
import { addStatement } from './move-rows.ts';
import { findPartitionRecords, recordPartitions } from '../bookkeeping/partition-records.ts';
import { partitionLabel } from '../plan.ts';
import { dropStaging, endStrayWriters, recordPrepared, type StoredPlan } from '../bookkeeping/plans.ts';
import { orSchemaConflict } from '../schema/schema-conflict.ts';
import { lockTarget, nextLoadedAt } from '../bookkeeping/targets.ts';

/** Blocks that the index summarises together, and the most partitions expected among them. */
const STRETCH = 32;
const IN_A_STRETCH = 32;
const BLOOM_SINCE = 14;
/** Up to one partition in this many counts as few. */
const FEW = 4;

/** Makes the rows of a partition quick to find in bronze, before the commit. */
export async function preparePartitions(
  session: Session,
  { planId, staging, plan }: StoredPlan,
): Promise<void> {
  await lockTarget(session, plan.target);
  await endStrayWriters(session, staging);
  const { storage } = await requireLoaded(session, plan.target);
  await ensurePartitionIndex(session, storage, planId);
  await recordPrepared(session, planId);
}

/**
 * Creates a BRIN index. Partitions copied at the same time are interleaved in stretches of some blocks. A Bloom
 * filter of those in a stretch costs next to nothing to maintain; minimum and maximum would say nothing.
 */
async function ensurePartitionIndex(session: Session, storage: TableName, planId: string): Promise<void> {
  const found = await session.query(
    `SELECT FROM pg_catalog.pg_index i
       JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
      WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL AND a.attname = $2`,
    [quoteTable(storage), PARTITION],
  );
  if (found.length > 0) return;
  const summary =
    session.majorVersion < BLOOM_SINCE ? '' : ` text_bloom_ops (n_distinct_per_range = ${IN_A_STRETCH})`;
  await session.query(
    `CREATE INDEX ${quoteName(partitionIndexName(planId))} ON ${quoteTable(storage)}
       USING brin (${PARTITION}${summary}) WITH (pages_per_range = ${STRETCH})`,
  );
}

/** Deletes the rows of some of `all` partitions. */
async function deleteRows(
  session: Session,
  storage: TableName,
  labels: readonly string[],
  all: number,
): Promise<void> {
  // no statistics say how selective the index is; for most partitions it would be read once for each
  if (labels.length <= all / FEW) await session.query('SET LOCAL enable_seqscan = off');
  await session.query(`DELETE FROM ${quoteTable(storage)} WHERE ${PARTITION} = ANY ($1::text[])`, [labels]);
  await session.query('SET LOCAL enable_seqscan TO DEFAULT');
}

/**
 * Replaces in bronze the rows of the partitions that were read, and records it, all in the transaction of the
 * session. Readers see the old rows until it commits, and nobody waits.
 *
 * A partition that a later plan has read keeps its rows.
 *
 * @returns how many partitions a later plan had read
 */
export async function replacePartitions(session: Session, stored: StoredPlan): Promise<number> {
  const { planId, plan, staging } = stored;
  const bronze = await requireLoaded(session, plan.target);
  const labels = plan.partitions.map((partition) => partitionLabel(plan, partition));
  const records = await findPartitionRecords(session, plan.target);
  if (records.size === 0) {
    throw new DatakitError(
      'PlanOutdated',
      `${BRONZE}.${plan.target} was loaded by a run of another kind after this run was planned`,
    );
  }
  const isNewer = (label: string) => BigInt(records.get(label)?.planId ?? 0) > BigInt(planId);
  const newer = labels.filter(isNewer);
  if (newer.length === labels.length) return newer.length;
  const metadata = await metadataOf(session, stored);
  const { present } = await followSchema(session, bronze, stored, { policy: 'evolve', metadata });
  const planned = new Set(plan.columns.map(({ name }) => name));
  const columns = present.filter(({ name }) => planned.has(name));
  const replaced = labels.filter((label) => !isNewer(label));
  await orUnidentified(bronze.storage, async () =>
    deleteRows(session, bronze.storage, replaced, records.size),
  );
  const move = { staging, storage: bronze.storage, columns, metadata, others: [] };
  await orSchemaConflict(`The new rows do not fit ${BRONZE}.${plan.target}`, async () =>
    session.query(addStatement(move), [newer]),
  );
  await recordPartitions(session, stored);
  await dropStaging(session, stored);
  return newer.length;
}

async function metadataOf(session: Session, { runId, plan }: StoredPlan) {
  const loadedAt = await nextLoadedAt(session, plan.target);
  return metadataColumns({ ...plan, loadedAt, runId });
}
