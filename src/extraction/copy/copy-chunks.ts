import { claimSpan, mayCopy } from '../../bronze/bookkeeping/attempts.ts';
import { findChunks } from '../../bronze/bookkeeping/ledger.ts';
import type { ExtractionPlan, PlannedPartition } from '../../bronze/plan.ts';
import { readPlan, type StoredPlan } from '../../bronze/bookkeeping/plans.ts';
import type { Copied, CopiedSpan, CopyChunksRequest, Span } from '../../contract/chunks.ts';
import type { Snapshot } from '../../contract/snapshot.ts';
import { formatTableName } from '../../contract/table-name.ts';
import { applicationName } from '../../postgres/application-name.ts';
import { chunksIn, partitionsOf, putTogether } from '../plan/chunks-together.ts';
import { copyAsPlanned, requireSamePartitions } from '../plan/plan-checks.ts';
import { copyChunksInto } from './copy-into.ts';
import type { ChunkProgress, CopyContext, PacedContext } from './copy-context.ts';
import { Pace } from './pace.ts';
import { readMoment, type Reading } from './read-moment.ts';
import { StallWatch } from './stall-watch.ts';

/**
 * Copies chunks of a plan into its staging table: one source transaction for all of them, and one warehouse
 * transaction for each, or for those that are put together, with its mark in the ledger.
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
  const missing = chunksIn(request).filter((chunk) => !done.has(chunk));
  const copied = await copyWatched(missing, request, stored, { ...context, claim });
  const next = missing[copied.chunks];
  // chunks marked beyond the first one left are counted when the rest is copied
  const counted = [...done].filter(([chunk]) => next === undefined || chunk < next).map(([, one]) => one);
  const sum = [...counted, copied].reduce(
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
  context: CopyContext & Pick<PacedContext, 'claim'>,
): Promise<CopiedChunks> {
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
      () => readBy(plan, span),
      async () => copyMissing(missing, snapshot, stored, { ...context, signal, onProgress }),
    );
  } finally {
    watch.close();
  }
}

/** Returns the partitions that a span reads. */
function readBy(plan: ExtractionPlan, span: Span): PlannedPartition[] {
  const all = putTogether(plan, chunksIn(span)).flatMap((together) => partitionsOf(plan, together));
  return [...new Set(all)];
}

interface CopiedChunks extends Copied {
  readonly chunks: number;
}

const NOTHING: CopiedChunks = { rows: 0, bytes: 0, chunks: 0 };

async function copyMissing(
  chunks: readonly number[],
  snapshot: Snapshot | undefined,
  stored: StoredPlan,
  context: PacedContext,
): Promise<CopiedChunks> {
  if (chunks.length === 0) return NOTHING;
  return readMoment(stored, snapshot, context, async (reading) => {
    if (chunks[0] === 0) await requireSamePartitions(reading.session, stored.plan);
    const { source, table } = stored.plan;
    let all = NOTHING;
    for (const together of putTogether(stored.plan, chunks)) {
      if (context.isStopping()) break;
      const copied = await copyTogether(reading, together, stored, context);
      if (copied === 'paused') break;
      const { from: chunk, count } = together;
      context.onCopied({ source, table: formatTableName(table), chunk, chunks: count, ...copied });
      all = { rows: all.rows + copied.rows, bytes: all.bytes + copied.bytes, chunks: all.chunks + count };
    }
    return all;
  });
}

/** Copies chunks in a transaction of their own, unless the run is paused. */
async function copyTogether(
  reading: Reading,
  together: Span,
  stored: StoredPlan,
  context: PacedContext,
): Promise<Copied | 'paused'> {
  const { warehouse, signal } = context;
  const limits = { run: stored.runId, signal };
  return warehouse.write(limits, async (target) => {
    if ((await mayCopy(target, context.claim)) === 'paused') return 'paused';
    return copyChunksInto(target, reading, together, stored, context);
  });
}
