import { markChunks } from '../../bronze/bookkeeping/ledger.ts';
import { stagingKeys, type StoredPlan } from '../../bronze/bookkeeping/plans.ts';
import { PARTITION_SETTING } from '../../bronze/layout.ts';
import {
  chunkCount,
  partitionLabel,
  rowChunkCount,
  type ExtractionPlan,
  type PlannedPartition,
} from '../../bronze/plan.ts';
import type { Copied, Span } from '../../contract/chunks.ts';
import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { pipeCopy } from '../../postgres/copy/copy-pipe.ts';
import { isGone, isLockTimeout } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';
import { rangesOfChunk, type ChunkRange } from '../plan/chunk-ranges.ts';
import { chunksIn, partitionsOf, putTogether } from '../plan/chunks-together.ts';
import { requireReadAsPlanned } from '../plan/plan-checks.ts';
import type { PacedContext } from './copy-context.ts';
import { copyLargeObjects } from './copy-large-objects.ts';
import { copyIn, copyOut } from './copy-statements.ts';
import { addDigests, digestChunk } from './digest-chunk.ts';
import { lockedBySomebody } from './locked-partitions.ts';
import type { Reading } from './read-moment.ts';

type WritingContext = Pick<PacedContext, 'attempt' | 'onProgress'> & Partial<Pick<PacedContext, 'claim'>>;

/** Copies all chunks of a plan, with their ledger marks, in the transaction of the target session. */
export async function copyAllInto(
  target: Session,
  reading: Reading,
  stored: StoredPlan,
  context: WritingContext,
): Promise<void> {
  const chunks = chunksIn({ from: 0, count: chunkCount(stored.plan) });
  for (const together of putTogether(stored.plan, chunks)) {
    await copyChunksInto(target, reading, together, stored, context);
  }
}

/**
 * Copies chunks that are put together, with their ledger marks, in the transaction of the target session. Afterwards
 * the source's table locks are released; the snapshot stays.
 */
export async function copyChunksInto(
  target: Session,
  reading: Reading,
  together: Span,
  { planId, plan, staging }: StoredPlan,
  { attempt, claim, onProgress }: WritingContext,
): Promise<Copied> {
  const { from: chunk, count } = together;
  const writing: Writing = {
    target,
    planId,
    plan,
    staging,
    onProgress: (bytes) => onProgress({ chunk, bytes }),
  };
  const partitions = partitionsOf(plan, together);
  const copied = await reading.session.withRolePath(async () => {
    const done =
      chunk < rowChunkCount(plan)
        ? await copyRanges(reading, rangesOfChunk(plan, chunk), writing)
        : await copyKeys(reading, partitions, writing);
    await requireReadAsPlanned(reading.session, plan, partitions);
    return done;
  });
  await markChunks(target, { planId, chunk, count, attempt, claim, moment: reading.moment, ...copied });
  return { rows: copied.rows, bytes: copied.bytes };
}

interface Writing extends Pick<StoredPlan, 'planId' | 'plan' | 'staging'> {
  readonly target: Session;
  readonly onProgress: (bytes: number) => void | Promise<void>;
}

/** Copies keys of all rows in one statement: that many small partitions take hardly longer than one. */
async function copyKeys(
  { session, label }: Reading,
  partitions: readonly PlannedPartition[],
  { target, plan, staging, onProgress }: Writing,
): Promise<Copied> {
  const keys = planOfKeys(plan);
  const ranges = partitions.map((partition) => ({ partition, fromBlock: 0, whole: true }));
  return naming(partitions, label, async () =>
    pipeCopy({
      source: { session, statement: copyOut(keys, ...ranges) },
      target: { session: target, statement: copyIn(keys, stagingKeys(staging)) },
      onProgress,
    }),
  );
}

/** Returns the plan as it would be if only the key of each row were read, of all rows. */
function planOfKeys({ incremental, ...plan }: ExtractionPlan): ExtractionPlan {
  return { ...plan, columns: plan.columns.filter(({ name }) => incremental?.key.includes(name)) };
}

interface CopiedRanges extends Copied {
  readonly missingObjects: number;
  readonly digests: readonly string[] | null;
}

async function copyRanges(
  reading: Reading,
  ranges: readonly ChunkRange[],
  writing: Writing,
): Promise<CopiedRanges> {
  let all: CopiedRanges = { rows: 0, bytes: 0, missingObjects: 0, digests: null };
  for (const range of ranges) {
    const done = all;
    const onProgress = (bytes: number) => writing.onProgress(done.bytes + bytes);
    const copied = await copyRange(reading, range, { ...writing, onProgress });
    all = {
      rows: done.rows + copied.rows,
      bytes: done.bytes + copied.bytes,
      missingObjects: done.missingObjects + copied.missingObjects,
      digests: addDigests(done.digests, copied.digests),
    };
  }
  return all;
}

async function copyRange(
  { session, label }: Reading,
  range: ChunkRange,
  { target, planId, plan, staging, onProgress }: Writing,
): Promise<CopiedRanges> {
  if (plan.partitioned === true) await namePartition(target, partitionLabel(plan, range.partition));
  const rows = await naming([range.partition], label, async () =>
    pipeCopy({
      source: { session, statement: copyOut(plan, range) },
      target: { session: target, statement: copyIn(plan, staging) },
      onProgress,
    }),
  );
  const objects = await copyLargeObjects({
    source: session,
    target,
    plan,
    planId,
    staging,
    range,
    onProgress: (bytes) => onProgress(rows.bytes + bytes),
  });
  const digests = await digestChunk(session, plan, range);
  return { rows: rows.rows, bytes: rows.bytes + objects.bytes, missingObjects: objects.missing, digests };
}

/** Sets the `_bronze_partition` of rows that arrive from now on. */
async function namePartition(target: Session, label: string): Promise<void> {
  await target.query('SELECT set_config($1, $2, true)', [PARTITION_SETTING, label]);
}

/** Adds the names of the partitions that are read to failures that concern one of them. */
export async function naming<T>(
  partitions: readonly TableName[],
  label: string,
  copy: () => Promise<T>,
): Promise<T> {
  try {
    return await copy();
  } catch (error) {
    const names = listed(partitions.map(formatTableName), 3);
    const name = partitions.length === 1 ? names : `one of ${names}`;
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
