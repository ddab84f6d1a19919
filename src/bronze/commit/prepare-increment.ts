import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { requireLoaded } from '../schema/bronze-table.ts';
import { readHighWaterMark } from './high-water-mark.ts';
import type { IncrementalPlan } from '../incremental-plan.ts';
import { ensureKeyIndex, requireKeys } from '../schema/key-index.ts';
import { BRONZE } from '../layout.ts';
import { endStrayWriters, recordPrepared, stagingKeys, type StoredPlan } from '../bookkeeping/plans.ts';
import { lockTarget } from '../bookkeeping/targets.ts';

/** Prepares a loaded staging table for the move into bronze: all that can be done ahead of the commit. */
export async function prepareIncrement(
  session: Session,
  { planId, staging, plan, unseen }: StoredPlan,
  incremental: IncrementalPlan,
): Promise<void> {
  await lockTarget(session, plan.target);
  if (unseen !== true) await endStrayWriters(session, staging);
  await analyze(session, staging, incremental);
  if (incremental.keyChunks > 0) await analyze(session, stagingKeys(staging), incremental);
  await requireKeys(session, staging, incremental);
  const { storage } = await requireLoaded(session, plan.target);
  await ensureKeyIndex(session, storage, planId, incremental);
  await recordStaged(session, { planId, staging }, incremental);
  await recordPrepared(session, planId);
}

/** Analyzes only the columns that rows are found by: sorting samples of long texts takes as long as moving them. */
async function analyze(
  session: Session,
  staging: TableName,
  { key, cursor }: IncrementalPlan,
): Promise<void> {
  const columns = key.length > 0 ? key : [cursor.column];
  await session.query(`ANALYZE ${quoteTable(staging)} (${columns.map(quoteName).join(', ')})`);
}

/** Stores what the rows say about the checkpoint, so that a retried commit need not read them again. */
export async function recordStaged(
  session: Session,
  { planId, staging }: Pick<StoredPlan, 'planId' | 'staging'>,
  incremental: IncrementalPlan,
): Promise<void> {
  const facts = await readHighWaterMark(session, { planId, staging }, incremental);
  await session.query(`UPDATE ${BRONZE}.extraction_plans SET staged = $2 WHERE plan_id = $1`, [
    planId,
    JSON.stringify(facts),
  ]);
}
