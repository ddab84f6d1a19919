import { markChunk } from '../../bronze/bookkeeping/ledger.ts';
import type { StoredPlan } from '../../bronze/bookkeeping/plans.ts';
import { PARTITION_SETTING } from '../../bronze/layout.ts';
import { chunkCount, partitionLabel } from '../../bronze/plan.ts';
import type { Copied } from '../../contract/chunks.ts';
import { DatakitError } from '../../contract/failures.ts';
import { formatTableName } from '../../contract/table-name.ts';
import { pipeCopy } from '../../postgres/copy/copy-pipe.ts';
import { isGone, isLockTimeout } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';
import { rangesOfChunk, type ChunkRange } from '../plan/chunk-ranges.ts';
import { requireReadAsPlanned } from '../plan/plan-checks.ts';
import type { PacedContext } from './copy-context.ts';
import { copyLargeObjects } from './copy-large-objects.ts';
import { copyIn, copyOut } from './copy-statements.ts';
import { addDigests, digestChunk } from './digest-chunk.ts';
import { lockedBySomebody } from './locked-partitions.ts';
import type { Reading } from './read-moment.ts';

type WritingContext = Pick<PacedContext, 'warehouse' | 'attempt' | 'onProgress'> &
  Partial<Pick<PacedContext, 'claim'>>;

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
