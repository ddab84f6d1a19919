import type { TableName } from '../../contract/table-name.ts';
import { Batch } from '../../postgres/batch.ts';
import { quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { supersedeCheckpoints } from '../bookkeeping/checkpoints.ts';
import { attachStorage, dropStorages } from './exchange.ts';
import { BRONZE, metadataColumns, STORAGE, storageName } from '../layout.ts';
import { markOwnChunks, type LedgerEntry, type LedgerTotals } from '../bookkeeping/ledger.ts';
import { recordCommitted, type ManifestOf } from '../bookkeeping/manifest.ts';
import { forgetPartitions } from '../bookkeeping/partition-records.ts';
import type { ExtractionPlan } from '../plan.ts';
import { createBronzeTable } from '../schema/bronze-table.ts';
import { findNewTargets, findUnchanged, type PlainTable } from '../schema/plain-table.ts';
import { definitionOf, NEXT_ORDER } from '../bookkeeping/plans.ts';
import { addConstants } from './prepare-staging.ts';
import { lockUnused, requireNoOldSnapshot } from '../readers.ts';
import { forgetEarlierLedger, lockFreeTargets, recordLoads } from '../bookkeeping/targets.ts';

/** Identifies the rows of a run that is made visible in the transaction that copies them. */
export interface Loading {
  readonly planId: string;
  /** By the clock of the warehouse. */
  readonly loadedAt: string;
}

/** Takes one plan number per table. */
export async function beginLoading(session: Session, tables: number): Promise<Loading[]> {
  return session.query<Loading & Record<string, unknown>>(
    `SELECT ${NEXT_ORDER} AS "planId", clock_timestamp()::text AS "loadedAt" FROM generate_series(1, $1)`,
    [tables],
  );
}

/** Returns the table that takes the new rows and keeps them: nobody sees it until it is attached. */
export const newStorage = ({ target }: ExtractionPlan, { planId }: Loading): TableName => ({
  schema: STORAGE,
  name: storageName(target, planId),
});

/** Returns the statement that creates a storage table. */
export const createStorage = (plan: ExtractionPlan, storage: TableName): string =>
  `CREATE TABLE ${quoteTable(storage)} (${plan.columns.map(definitionOf).join(', ')})`;

/** A run that is planned, copied and made visible in one transaction, with its only chunk. */
export interface PlainRun {
  readonly run: ManifestOf;
  readonly plan: ExtractionPlan;
  /** Undefined if the bronze table is to be created. */
  readonly before: PlainTable | undefined;
  readonly loading: Loading;
  readonly storage: TableName;
  readonly chunk: Pick<LedgerEntry, 'attempt' | 'moment' | 'rows' | 'bytes'>;
}

/**
 * Replaces the rows that bronze tables show with those of loaded tables, creates bronze tables that are not there yet, and
 * writes manifest and ledger as runs of several steps leave them.
 *
 * @returns the runs that were exchanged; tables in use, or not as they were found, stay as they are
 * @throws {DatakitError} LockTimeout while a reader with an older snapshot blocks them all
 */
export async function exchangePlain(
  session: Session,
  runs: readonly PlainRun[],
): Promise<ReadonlySet<PlainRun>> {
  const [first] = runs;
  if (first === undefined) return new Set();
  const constants = new Batch();
  for (const { storage, loading, plan, run } of runs)
    await addConstants(constants, storage, metadataColumns({ ...plan, ...loading, runId: run.runId }));
  await constants.run(session);
  const exchanged = await takeUnchanged(session, runs);
  if (exchanged.size > 0) {
    // once nobody new can read them: a snapshot taken before that may be older than the rows
    await requireNoOldSnapshot(session, bronzeOf(first));
    await record(session, [...exchanged]);
  }
  const exchange = new Batch();
  await dropStorages(
    exchange,
    runs.flatMap((run) => (exchanged.has(run) ? run.before : run)?.storage ?? []),
  );
  for (const run of exchanged) {
    if (run.before === undefined) await createBronzeTable(exchange, run.plan.target, run.storage);
    await attachStorage(exchange, bronzeOf(run), run.storage);
  }
  await exchange.run(session);
  return exchanged;
}

const bronzeOf = ({ plan }: PlainRun): TableName => ({ schema: BRONZE, name: plan.target });

/** Locks the tables that nobody else writes or reads, and returns the runs whose tables are as they were found. */
async function takeUnchanged(session: Session, runs: readonly PlainRun[]): Promise<ReadonlySet<PlainRun>> {
  const locked = await lockFreeTargets(session, runs.map(targetOf));
  const free = runs.filter((run) => locked.has(targetOf(run)));
  const fresh = await findNewTargets(
    session,
    free.filter(({ before }) => before === undefined).map(targetOf),
  );
  const found = free.flatMap((run) => (run.before === undefined ? [] : { ...bronzeOf(run), ...run.before }));
  const unchanged = await findUnchanged(session, await lockUnused(session, found));
  return new Set(free.filter((run) => fresh.has(targetOf(run)) || unchanged.has(targetOf(run))));
}

const targetOf = ({ plan }: PlainRun): string => plan.target;

async function record(session: Session, runs: readonly PlainRun[]): Promise<void> {
  const targets = runs.map(({ plan }) => plan.target);
  const loads = runs.map(({ run, plan, loading }) => ({
    ...plan,
    planId: loading.planId,
    runId: run.runId,
  }));
  await markOwnChunks(
    session,
    runs.map(({ chunk, loading }) => ({ ...chunk, ...loading, chunk: 0 })),
  );
  await supersedeCheckpoints(session, targets);
  await forgetPartitions(session, targets);
  await forgetEarlierLedger(session, loads);
  await recordLoads(session, loads);
  await recordCommitted(
    session,
    runs.map(({ run, plan, loading, chunk }) => ({
      run,
      plan,
      planId: loading.planId,
      totals: totalsOf(chunk),
    })),
  );
}

const totalsOf = ({ rows, bytes, moment }: PlainRun['chunk']): LedgerTotals => ({
  rows,
  bytes,
  missingObjects: 0,
  snapshotAt: moment.takenAt,
  snapshotLsn: moment.lsn ?? null,
});
