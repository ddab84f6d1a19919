import { findChunk, markChunk } from '../bronze/ledger.ts';
import type { ExtractionPlan } from '../bronze/plan.ts';
import { readPlan, type StoredPlan } from '../bronze/plans.ts';
import type { ChunkResult, CopyChunkRequest, Snapshot } from '../contract/activities.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatTableName } from '../contract/table-name.ts';
import { readFileNode, readPartitions } from '../postgres/catalog/partitions.ts';
import { pipeCopy } from '../postgres/copy-pipe.ts';
import type { Database } from '../postgres/database.ts';
import { sqlStateOf } from '../postgres/server-failure.ts';
import type { Session } from '../postgres/session.ts';
import { applicationName } from '../postgres/session-settings.ts';
import { importSnapshot } from '../postgres/snapshot.ts';
import { rangeOfChunk, type ChunkRange } from './chunk-ranges.ts';
import { copyIn, copyOut } from './copy-statements.ts';

export interface CopyContext {
  readonly warehouse: Database;
  readonly sourceNamed: (name: string) => Database;
  readonly attempt: number;
  readonly signal: AbortSignal;
  readonly onProgress: (bytes: number) => void;
}

/**
 * Copies one chunk into the staging table and marks it in the ledger, in one transaction of the warehouse.
 *
 * @throws {DatakitError} SnapshotLost, PlanOutdated or StagingLost when the run must begin again
 */
export async function copyChunk(request: CopyChunkRequest, context: CopyContext): Promise<ChunkResult> {
  const { warehouse, signal } = context;
  const limits = { applicationName: 'datakit-postgres-extractor', mode: 'READ WRITE', signal } as const;
  return warehouse.transaction(limits, async (target) => {
    const stored = await readPlan(target, request.planId);
    const done = await findChunk(target, request.planId, request.chunk);
    return done ?? copyAndMark(request, context, target, stored);
  });
}

async function copyAndMark(
  { planId, chunk, snapshot }: CopyChunkRequest,
  context: CopyContext,
  target: Session,
  stored: StoredPlan,
): Promise<ChunkResult> {
  const { plan, runId } = stored;
  const source = context.sourceNamed(plan.source);
  const range = rangeOfChunk(plan, chunk);
  const limits = {
    applicationName: applicationName(runId),
    mode: 'ISOLATION LEVEL REPEATABLE READ READ ONLY',
    signal: context.signal,
    ...(plan.statementTimeout !== null && { statementTimeout: plan.statementTimeout }),
  } as const;
  const copied = await source.transaction(limits, async (session) => {
    const snapshotAt = await enterSnapshot(session, snapshot);
    if (chunk === 0) await requireSamePartitions(session, plan);
    const { rows, bytes } = await pipe(session, source.label, target, context, stored, range);
    await requireSameFile(session, range);
    return { rows, bytes, snapshotAt };
  });
  await markChunk(target, { planId, chunk, attempt: context.attempt, ...copied });
  return { rows: copied.rows, bytes: copied.bytes };
}

async function enterSnapshot(session: Session, snapshot: Snapshot | undefined): Promise<string> {
  if (snapshot !== undefined) {
    await importSnapshot(session, snapshot);
    return snapshot.takenAt;
  }
  const { now } = await session.one<{ now: string }>('SELECT now()::text AS now');
  return now;
}

async function pipe(
  session: Session,
  label: string,
  target: Session,
  { warehouse, onProgress }: CopyContext,
  { plan, staging }: StoredPlan,
  range: ChunkRange,
): Promise<ChunkResult> {
  try {
    return await pipeCopy({
      source: { session, label, statement: copyOut(plan, range) },
      target: { session: target, label: warehouse.label, statement: copyIn(plan, staging) },
      onProgress,
    });
  } catch (error) {
    const state = sqlStateOf(error);
    if (state !== '42P01' && state !== '42703') throw error;
    throw new DatakitError('PlanOutdated', `${formatTableName(range.partition)} or a column of it was dropped meanwhile`, {
      cause: error,
    });
  }
}

/**
 * The plan was made before the snapshot: a partition that came between them would be missed.
 * The catalog is read in the snapshot too, so what is there is what the snapshot has.
 */
async function requireSamePartitions(session: Session, plan: ExtractionPlan): Promise<void> {
  const [table] = await session.query<{ oid: number }>(
    `SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2`,
    [plan.table.schema, plan.table.name],
  );
  const now = table === undefined ? [] : await readPartitions(session, table);
  const planned = new Set(plan.partitions.map(({ oid }) => oid));
  if (now.length === planned.size && now.every(({ oid }) => planned.has(oid))) return;
  throw new DatakitError('PlanOutdated', `The partitions of ${formatTableName(plan.table)} changed after they were planned`);
}

/**
 * A rewrite of the table (VACUUM FULL, CLUSTER, TRUNCATE, ALTER TABLE) moves rows to other blocks,
 * or hides them from older snapshots. The COPY holds its lock to the end of the transaction,
 * so a file that is still the planned one was it all the time.
 */
async function requireSameFile(session: Session, { partition }: ChunkRange): Promise<void> {
  if (partition.fileNode === 0) return;
  const now = await readFileNode(session, partition);
  if (now === partition.fileNode) return;
  throw new DatakitError('PlanOutdated', `${formatTableName(partition)} was rewritten after it was planned`);
}
