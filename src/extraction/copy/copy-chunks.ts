import { claimSpan, mayCopy, type Claim } from '../../bronze/bookkeeping/attempts.ts';
import { PARTITION_SETTING } from '../../bronze/layout.ts';
import { findChunks, markChunk } from '../../bronze/bookkeeping/ledger.ts';
import { chunkCount, partitionLabel, type ExtractionPlan, type PlannedPartition } from '../../bronze/plan.ts';
import { readPlan, type StoredPlan } from '../../bronze/bookkeeping/plans.ts';
import type { Attempt } from '../../contract/attempt.ts';
import type { Copied, CopiedSpan, CopyChunksRequest, Span } from '../../contract/chunks.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import { DatakitError } from '../../contract/failures.ts';
import { formatTableName } from '../../contract/table-name.ts';
import { pipeCopy } from '../../postgres/copy/copy-pipe.ts';
import type { Database } from '../../postgres/database.ts';
import { requireFreshReplica } from '../../postgres/replica-lag.ts';
import { isGone, isLockTimeout } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';
import { applicationName } from '../../postgres/application-name.ts';
import { enterSnapshot, type Moment } from '../../postgres/snapshot.ts';
import { rangesOfChunk, type ChunkRange } from '../plan/chunk-ranges.ts';
import { copyIn, copyOut } from './copy-statements.ts';
import { copyLargeObjects, seeOtherChunks } from './copy-large-objects.ts';
import { addDigests, digestChunk } from './digest-chunk.ts';
import { lockedBySomebody } from './locked-partitions.ts';
import { Pace } from './pace.ts';
import { copyAsPlanned, requireReadAsPlanned, requireSamePartitions } from '../plan/plan-checks.ts';
import { StallWatch } from './stall-watch.ts';

export interface CopyContext {
  readonly warehouse: Database;
  readonly sourceNamed: (name: string) => Database;
  readonly attempt: Attempt;
  readonly signal: AbortSignal;
  /** True once the worker was asked to stop: no further chunk is begun, and those left go to another worker. */
  readonly isStopping: () => boolean;
  /** Called with the chunk being copied and its bytes so far. */
  readonly onProgress: (progress: ChunkProgress) => void;
  /** Called when a chunk and its ledger mark are committed. */
  readonly onCopied: (copied: CopiedChunk) => void;
}

export interface CopiedChunk extends Copied {
  readonly source: string;
  readonly table: string;
  readonly chunk: number;
}

export interface ChunkProgress {
  readonly chunk: number;
  readonly bytes: number;
}

/** A copy context whose `onProgress` can hold up the copy by returning a promise. */
interface PacedContext extends Omit<CopyContext, 'onProgress'> {
  readonly claim: Claim;
  readonly onProgress: (progress: ChunkProgress) => void | Promise<void>;
}

/**
 * Copies chunks of a plan into its staging table: one source transaction for all of them, and one warehouse
 * transaction for each, with its mark in the ledger.
 *
 * @param context its `onPlanRead` is called before any chunk is read
 * @throws {DatakitError} SnapshotLost, PlanOutdated or StagingLost if the run must start over
 */
export async function copyChunks(
  request: CopyChunksRequest,
  context: CopyContext & { readonly onPlanRead: (plan: ExtractionPlan) => void },
): Promise<CopiedSpan> {
  const { warehouse, signal, attempt } = context;
  const claim = { planId: request.planId, firstChunk: request.from, attempt };
  const { stored, done } = await warehouse.write({ signal }, async (session) => {
    const plan = await readPlan(session, request.planId, request.runId);
    // the sessions of a run are found by this name, and only the plan tells which run this one serves
    await session.query(`SELECT set_config('application_name', $1, true)`, [applicationName(plan.runId)]);
    await claimSpan(session, claim);
    return { stored: plan, done: await findChunks(session, request.planId, request) };
  });
  context.onPlanRead(stored.plan);
  const chunks = Array.from({ length: request.count }, (_, index) => request.from + index);
  const missing = chunks.filter((chunk) => !done.has(chunk));
  const copied = await copyWatched(missing, request, stored, { ...context, claim });
  const next = missing[copied.length];
  // chunks marked beyond the first one left are counted when the rest is copied
  const counted = [...done].filter(([chunk]) => next === undefined || chunk < next).map(([, one]) => one);
  const sum = [...counted, ...copied].reduce(
    ({ rows, bytes }, one) => ({ rows: rows + one.rows, bytes: bytes + one.bytes }),
    { rows: 0, bytes: 0 },
  );
  if (next === undefined) return sum;
  return { ...sum, left: { from: next, count: request.from + request.count - next } };
}

async function copyWatched(
  missing: readonly number[],
  { snapshot, bytesPerSecond, ...span }: CopyChunksRequest,
  stored: StoredPlan,
  context: CopyContext & { readonly claim: Claim },
): Promise<Copied[]> {
  const { plan, runId: run } = stored;
  const watch = new StallWatch(plan.stallTimeout);
  const pace = bytesPerSecond === undefined ? undefined : new Pace(bytesPerSecond);
  const signal = AbortSignal.any([context.signal, watch.signal]);
  const source = context.sourceNamed(plan.source);
  const onProgress = (progress: ChunkProgress) => {
    watch.passed();
    context.onProgress(progress);
    return pace?.passed(progress.chunk, progress.bytes, signal);
  };
  try {
    // including chunks of an earlier attempt, which may have ended before it checked
    return await copyAsPlanned(
      async (work) => source.read({ run, signal }, work),
      () => partitionsOf(plan, span),
      async () => copyMissing(missing, snapshot, stored, { ...context, signal, onProgress }),
    );
  } finally {
    watch.close();
  }
}

function partitionsOf(plan: ExtractionPlan, { from, count }: Span): PlannedPartition[] {
  const chunks = Array.from({ length: count }, (_, index) => from + index);
  const ranges = chunks.flatMap((chunk) => rangesOfChunk(plan, chunk));
  return [...new Set(ranges.map(({ partition }) => partition))];
}

async function copyMissing(
  chunks: readonly number[],
  snapshot: Snapshot | undefined,
  stored: StoredPlan,
  context: PacedContext,
): Promise<Copied[]> {
  if (chunks.length === 0) return [];
  return readMoment(stored, snapshot, context, async (reading) => {
    if (chunks[0] === 0) await requireSamePartitions(reading.session, stored.plan);
    const copied: Copied[] = [];
    for (const chunk of chunks) {
      if (context.isStopping()) break;
      const one = await copyOne(reading, chunk, stored, context);
      if (one === 'paused') break;
      const { source, table } = stored.plan;
      context.onCopied({ source, table: formatTableName(table), chunk, ...one });
      copied.push(one);
    }
    return copied;
  });
}

/** Runs work in a source transaction with the limits of the plan, as of the snapshot or else one of its own. */
export async function readMoment<T>(
  { plan, runId }: StoredPlan,
  snapshot: Snapshot | undefined,
  { sourceNamed, signal }: Pick<CopyContext, 'sourceNamed' | 'signal'>,
  work: (reading: Reading) => Promise<T>,
): Promise<T> {
  const source = sourceNamed(plan.source);
  const limits = {
    run: runId,
    signal,
    lockTimeout: plan.lockTimeout,
    ...(plan.session !== undefined && { settings: plan.session }),
    ...(plan.idleTimeout !== undefined && { idleTimeout: plan.idleTimeout }),
    ...(plan.statementTimeout !== null && { statementTimeout: plan.statementTimeout }),
  };
  return source.read(limits, async (session) => {
    const moment = await enterSnapshot(session, snapshot);
    await requireFreshReplica(session, plan.maxReplicaLag);
    // a policy added after planning is then an error rather than a loss of rows
    if (plan.requireAllRows === true) await session.query('SET LOCAL row_security = off');
    return work({ session, label: source.label, moment });
  });
}

/** A source session in a transaction that reads as of one snapshot. */
export interface Reading {
  readonly session: Session;
  readonly label: string;
  readonly moment: Moment;
}

/** Copies a chunk in a transaction of its own, unless the run is paused. */
async function copyOne(
  reading: Reading,
  chunk: number,
  stored: StoredPlan,
  context: PacedContext,
): Promise<Copied | 'paused'> {
  const { warehouse, signal } = context;
  const limits = { run: stored.runId, signal };
  return warehouse.write(limits, async (target) => {
    if (stored.plan.largeObjects !== undefined) await seeOtherChunks(target);
    if ((await mayCopy(target, context.claim)) === 'paused') return 'paused';
    return copyChunkInto(target, reading, chunk, stored, context);
  });
}

type WritingContext = Pick<PacedContext, 'warehouse' | 'attempt' | 'onProgress'> & { readonly claim?: Claim };

/** Copies all chunks of a plan, with their ledger marks, in the transaction of the target session. */
export async function copyAllInto(
  target: Session,
  reading: Reading,
  stored: StoredPlan,
  context: WritingContext,
): Promise<void> {
  for (let chunk = 0; chunk < chunkCount(stored.plan); chunk += 1) {
    await copyChunkInto(target, reading, chunk, stored, context);
  }
}

/**
 * Copies a chunk, with its ledger mark, in the transaction of the target session. Afterwards the source's table locks
 * are released; the snapshot stays.
 */
export async function copyChunkInto(
  target: Session,
  reading: Reading,
  chunk: number,
  { planId, plan, staging }: StoredPlan,
  { warehouse, attempt, claim, onProgress }: WritingContext,
): Promise<Copied> {
  const all: CopiedRange = { rows: 0, bytes: 0, missingObjects: 0, digests: null };
  const ranges = rangesOfChunk(plan, chunk);
  await reading.session.withRolePath(async () => {
    for (const range of ranges) {
      const done = all.bytes;
      const copied = await copyRange(reading, range, {
        target,
        targetLabel: warehouse.label,
        planId,
        plan,
        staging,
        onProgress: (bytes) => onProgress({ chunk, bytes: done + bytes }),
      });
      all.rows += copied.rows;
      all.bytes += copied.bytes;
      all.missingObjects += copied.missingObjects;
      all.digests = addDigests(all.digests, copied.digests);
    }
    await requireReadAsPlanned(reading.session, plan, ranges.map(({ partition }) => partition)); // prettier-ignore
  });
  await markChunk(target, { planId, chunk, attempt, claim, moment: reading.moment, ...all });
  return { rows: all.rows, bytes: all.bytes };
}

interface CopiedRange {
  rows: number;
  bytes: number;
  missingObjects: number;
  digests: readonly string[] | null;
}

interface Writing extends Pick<StoredPlan, 'planId' | 'plan' | 'staging'> {
  readonly target: Session;
  readonly targetLabel: string;
  readonly onProgress: (bytes: number) => void | Promise<void>;
}

async function copyRange(
  { session, label }: Reading,
  range: ChunkRange,
  { target, targetLabel, planId, plan, staging, onProgress }: Writing,
): Promise<CopiedRange> {
  if (plan.partitioned === true) await namePartition(target, partitionLabel(plan, range.partition));
  const rows = await naming(range, label, async () =>
    pipeCopy({
      source: { session, label, statement: copyOut(plan, range) },
      target: { session: target, label: targetLabel, statement: copyIn(plan, staging, range) },
      onProgress,
    }),
  );
  const objects = await copyLargeObjects({
    source: session,
    label,
    target,
    targetLabel,
    plan,
    planId,
    staging,
    range,
    onProgress: (bytes) => onProgress(rows.bytes + bytes),
  });
  const digests = range.keysOnly === true ? null : await digestChunk(session, plan, range);
  return { rows: rows.rows, bytes: rows.bytes + objects.bytes, missingObjects: objects.missing, digests };
}

/** Sets the `_bronze_partition` of rows that arrive from now on. */
async function namePartition(target: Session, label: string): Promise<void> {
  await target.query('SELECT set_config($1, $2, true)', [PARTITION_SETTING, label]);
}

/** Adds the partition's name to failures that concern it. */
export async function naming<T>(
  { partition }: ChunkRange,
  label: string,
  copy: () => Promise<T>,
): Promise<T> {
  try {
    return await copy();
  } catch (error) {
    const name = formatTableName(partition);
    // dropped after planning: a new plan goes without it
    if (isGone(error)) {
      throw new DatakitError('PlanOutdated', `${name} or one of its columns was dropped during the run`, {
        cause: error,
      });
    }
    if (isLockTimeout(error)) throw lockedBySomebody(`${label}: ${name}`, error);
    throw error;
  }
}
