import type { TableName } from '../contract/table-name.ts';
import { Batch } from '../postgres/batch.ts';
import { quoteTable } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { supersedeCheckpoints } from './checkpoints.ts';
import { attachStorage, dropStorage } from './exchange.ts';
import { BRONZE, metadataColumns, STORAGE, storageName } from './layout.ts';
import { markOf, type LedgerEntry } from './ledger.ts';
import { closeManifest, openingOf, type ManifestOf } from './manifest.ts';
import { forgetPartitions } from './partition-records.ts';
import type { ExtractionPlan } from './plan.ts';
import type { PlainTable } from './plain-table.ts';
import { definitionOf, NEXT_ORDER } from './plans.ts';
import { addConstants } from './prepare-staging.ts';
import { lockExclusively, requireNoOldSnapshot } from './readers.ts';
import { forgetEarlierLedger, recordLoad } from './targets.ts';

/** Where the rows of a run go that is made visible in the transaction that copies it. */
export interface NewStorage {
  readonly planId: string;
  readonly storage: TableName;
  /** By the clock of the warehouse. */
  readonly loadedAt: string;
}

/**
 * Makes the table that is to have the rows, where it is to stay: nobody sees it before it is filled and attached.
 *
 * @returns nothing where the bronze table is not as it was found: whoever exchanges its rows has locked the target before
 */
export async function createStorage(
  session: Session,
  plan: ExtractionPlan,
  { storage: before, loadedBy }: PlainTable,
): Promise<NewStorage | undefined> {
  const [number] = await session.query<Omit<NewStorage, 'storage'> & Record<string, unknown>>(
    `SELECT ${NEXT_ORDER} AS "planId", clock_timestamp()::text AS "loadedAt"
       FROM ${BRONZE}.extraction_targets t JOIN pg_catalog.pg_class s ON s.oid = $3 AND NOT s.relhasindex
      WHERE t.target = $1 AND t.loaded_by_plan = $2`,
    [plan.target, loadedBy, before.oid],
  );
  if (number === undefined) return undefined;
  const { planId, loadedAt } = number;
  const storage = { schema: STORAGE, name: storageName(plan.target, planId) };
  await session.query(`CREATE TABLE ${quoteTable(storage)} (${plan.columns.map(definitionOf).join(', ')})`);
  return { planId, storage, loadedAt };
}

/** A run that was planned, copied and is made visible in one transaction, with its only chunk. */
export interface PlainRun {
  readonly run: ManifestOf;
  readonly plan: ExtractionPlan;
  readonly chunk: Omit<LedgerEntry, 'claim' | 'chunk' | 'planId'>;
}

/**
 * Puts the filled table in the place of the rows that the bronze table shows, and writes manifest and ledger
 * as a run of several steps would have left them: all of it on one way to the server and back.
 *
 * @throws {DatakitError} LockTimeout while readers are in the way
 */
export async function exchangePlain(
  session: Session,
  before: PlainTable,
  { planId, storage, loadedAt }: NewStorage,
  { run, plan, chunk }: PlainRun,
): Promise<void> {
  const { target, sourceUri, table } = plan;
  const { runId } = run;
  const bronze = { schema: BRONZE, name: target };
  await requireNoOldSnapshot(session, bronze);
  const batch = new Batch();
  await addConstants(batch, storage, metadataColumns({ loadedAt, sourceUri, table, runId }));
  await lockExclusively(batch, bronze);
  await dropStorage(batch, before.storage);
  await attachStorage(batch, bronze, storage);
  await batch.query(...markOf({ ...chunk, planId, chunk: 0 }));
  await supersedeCheckpoints(batch, target);
  await forgetPartitions(batch, target);
  await forgetEarlierLedger(batch, target, planId);
  await recordLoad(batch, { ...plan, planId, runId });
  await batch.query(...openingOf(run, planId, plan));
  await closeManifest(batch, runId, totalsOf(chunk), {
    status: 'committed',
    incremental: null,
    warnings: [],
  });
  await batch.run(session);
}

const totalsOf = ({ rows, bytes, moment }: PlainRun['chunk']) => ({
  rows,
  bytes,
  chunks: 1,
  missingObjects: 0,
  snapshotAt: moment.takenAt,
  snapshotLsn: moment.lsn ?? null,
});
