import { findChunks, markChunk } from '../bronze/ledger.ts';
import { isPaused, readPlan, type StoredPlan } from '../bronze/plans.ts';
import type { Copied, CopiedSpan, CopyChunksRequest, Snapshot } from '../contract/activities.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatTableName } from '../contract/table-name.ts';
import { pipeCopy } from '../postgres/copy-pipe.ts';
import type { Database } from '../postgres/database.ts';
import { sqlStateOf } from '../postgres/server-failure.ts';
import type { Session } from '../postgres/session.ts';
import { applicationName } from '../postgres/session-settings.ts';
import { enterSnapshot, type Moment } from '../postgres/snapshot.ts';
import { rangeOfChunk, type ChunkRange } from './chunk-ranges.ts';
import { copyIn, copyOut } from './copy-statements.ts';
import { copyLargeObjects, seeOtherChunks } from './copy-large-objects.ts';
import { digestChunk } from './digest-chunk.ts';
import { requireSameFile, requireSamePartitions } from './plan-checks.ts';
import { StallWatch } from './stall-watch.ts';

/** A table that somebody has locked is asked for again later, so that its snapshot does not wait with it. */
const LOCK_TIMEOUT = 60_000;

export interface CopyContext {
  readonly warehouse: Database;
  readonly sourceNamed: (name: string) => Database;
  readonly attempt: number;
  readonly signal: AbortSignal;
  /** The chunk that is being copied, and the bytes of it that have passed. */
  readonly onProgress: (progress: { readonly chunk: number; readonly bytes: number }) => void;
  /** Called when a chunk and its mark are committed. */
  readonly onCopied: (copied: CopiedChunk) => void;
}

export interface CopiedChunk extends Copied {
  readonly source: string;
  readonly table: string;
  readonly chunk: number;
}

/**
 * Copies chunks of a plan into its staging table: one transaction of the source for all of them,
 * and one of the warehouse for each, with its mark in the ledger.
 *
 * @throws {DatakitError} SnapshotLost, PlanOutdated or StagingLost when the run must begin again
 */
export async function copyChunks(request: CopyChunksRequest, context: CopyContext): Promise<CopiedSpan> {
  const { warehouse, signal } = context;
  const { stored, done } = await warehouse.transaction(
    { applicationName: 'datakit-postgres-extractor', mode: 'READ WRITE', signal },
    async (session) => ({
      stored: await readPlan(session, request.planId),
      done: await findChunks(session, request.planId, request),
    }),
  );
  const chunks = Array.from({ length: request.count }, (_, index) => request.from + index);
  const missing = chunks.filter((chunk) => !done.has(chunk));
  const copied = missing.length === 0 ? [] : await copyWatched(missing, request.snapshot, stored, context);
  const next = missing[copied.length];
  // what is marked beyond the first that is left is counted when the rest is copied
  const counted = [...done].filter(([chunk]) => next === undefined || chunk < next).map(([, one]) => one);
  const sum = [...counted, ...copied].reduce(
    ({ rows, bytes }, one) => ({ rows: rows + one.rows, bytes: bytes + one.bytes }),
    { rows: 0, bytes: 0 },
  );
  if (next === undefined) return sum;
  return { ...sum, left: { from: next, count: request.from + request.count - next } };
}

async function copyWatched(
  chunks: readonly number[],
  snapshot: Snapshot | undefined,
  stored: StoredPlan,
  context: CopyContext,
): Promise<Copied[]> {
  const watch = new StallWatch(stored.plan.stallTimeout);
  try {
    return await copyMissing(chunks, snapshot, stored, {
      ...context,
      signal: AbortSignal.any([context.signal, watch.signal]),
      onProgress: (progress) => {
        watch.passed();
        context.onProgress(progress);
      },
    });
  } finally {
    watch.close();
  }
}

async function copyMissing(
  chunks: readonly number[],
  snapshot: Snapshot | undefined,
  stored: StoredPlan,
  context: CopyContext,
): Promise<Copied[]> {
  const { plan, runId } = stored;
  const source = context.sourceNamed(plan.source);
  const limits = {
    applicationName: applicationName(runId),
    mode: 'ISOLATION LEVEL REPEATABLE READ READ ONLY',
    signal: context.signal,
    lockTimeout: LOCK_TIMEOUT,
    ...(plan.statementTimeout !== null && { statementTimeout: plan.statementTimeout }),
  } as const;
  return source.transaction(limits, async (session) => {
    const moment = await enterSnapshot(session, snapshot);
    // then a policy that came after the plan is an error and not a loss
    if (plan.requireAllRows === true) await session.query('SET LOCAL row_security = off');
    if (chunks[0] === 0) await requireSamePartitions(session, plan);
    const copied: Copied[] = [];
    for (const chunk of chunks) {
      const one = await copyOne({ session, label: source.label, moment }, chunk, stored, context);
      if (one === 'paused') break;
      context.onCopied({ source: plan.source, table: formatTableName(plan.table), chunk, ...one });
      copied.push(one);
    }
    return copied;
  });
}

/** A session of the source, in a transaction that reads one moment. */
export interface Reading {
  readonly session: Session;
  readonly label: string;
  readonly moment: Moment;
}

/** Copies a chunk in a transaction of its own; nothing where the run was paused. */
async function copyOne(
  reading: Reading,
  chunk: number,
  stored: StoredPlan,
  context: CopyContext,
): Promise<Copied | 'paused'> {
  const { warehouse, signal } = context;
  const limits = { applicationName: applicationName(stored.runId), mode: 'READ WRITE', signal } as const;
  return warehouse.transaction(limits, async (target) => {
    if (stored.plan.largeObjects !== undefined) await seeOtherChunks(target);
    if (await isPaused(target, stored.planId)) return 'paused';
    return copyChunkInto(target, reading, chunk, stored, context);
  });
}

/** Copies a chunk, with its mark in the ledger, in the transaction of the session. */
export async function copyChunkInto(
  target: Session,
  { session, label, moment }: Reading,
  chunk: number,
  { planId, plan, staging }: StoredPlan,
  { warehouse, attempt, onProgress }: Pick<CopyContext, 'warehouse' | 'attempt' | 'onProgress'>,
): Promise<Copied> {
  const range = rangeOfChunk(plan, chunk);
  const rows = await naming(range, async () =>
    pipeCopy({
      source: { session, label, statement: copyOut(plan, range) },
      target: { session: target, label: warehouse.label, statement: copyIn(plan, staging, range) },
      onProgress: (bytes) => onProgress({ chunk, bytes }),
    }),
  );
  const objects = await copyLargeObjects({
    source: session,
    label,
    target,
    targetLabel: warehouse.label,
    plan,
    planId,
    staging,
    range,
    onProgress: (bytes) => onProgress({ chunk, bytes: rows.bytes + bytes }),
  });
  const copied = { rows: rows.rows, bytes: rows.bytes + objects.bytes };
  const digests = range.keysOnly === true ? null : await digestChunk(session, plan, range);
  await requireSameFile(session, range.partition);
  await markChunk(target, {
    planId,
    chunk,
    attempt,
    moment,
    digests,
    missingObjects: objects.missing,
    ...copied,
  });
  return copied;
}

/** What was there when the run was planned, and is no more, is there in another shape or not at all in a new plan. */
const GONE = new Set(['42P01', '42703']);
const LOCKED = '55P03';

/** Gives failures that are about the partition its name. */
async function naming<T>({ partition }: ChunkRange, copy: () => Promise<T>): Promise<T> {
  try {
    return await copy();
  } catch (error) {
    const state = sqlStateOf(error) ?? '';
    const name = formatTableName(partition);
    if (GONE.has(state)) {
      throw new DatakitError('PlanOutdated', `${name} or a column of it was dropped meanwhile`, {
        cause: error,
      });
    }
    if (state !== LOCKED) throw error;
    throw new DatakitError('LockTimeout', `${name} is locked by another session of the source`, {
      cause: error,
    });
  }
}
