import type { ExtractionPlan, PlannedPartition } from '../../bronze/plan.ts';
import type { Session } from '../../postgres/session.ts';
import { estimateRows } from '../../postgres/row-estimate.ts';
import { selectChunk } from '../copy/copy-statements.ts';

const MB = 1024 * 1024;

/** Up to this many bytes of an index range are read in one go, unless the input sets a chunk size. */
const SMALL = 64 * MB;

/** The fields of a plan that an increment narrows. */
type Read = Pick<ExtractionPlan, 'partitions' | 'size'>;

/**
 * Plans to read the small part of a large partition that an increment asks for in one go, by its index.
 *
 * A partition stays cut into block ranges if the planner would read all of it anyway, or if the requested part is
 * large: a backfill, or a catch-up after a long pause.
 */
export async function chunkIncrement(
  source: Session,
  plan: ExtractionPlan,
  chunkSize?: number,
): Promise<Read> {
  const small = chunkSize ?? SMALL;
  const blocks = plan.partitions.reduce((sum, partition) => sum + partition.blocks, 0);
  const decided: PlannedPartition[] = [];
  let size = 0;
  for (const partition of plan.partitions) {
    const few = partition.chunks <= 1 ? undefined : await fewBytes(source, plan, partition, small);
    decided.push(few === undefined ? partition : inOneGo(partition));
    size += few ?? (plan.size * partition.blocks) / Math.max(1, blocks);
  }
  return { partitions: decided, size };
}

/** Estimates the bytes that an increment reads of a partition; undefined if they are many or no index finds them. */
async function fewBytes(
  source: Session,
  plan: ExtractionPlan,
  partition: PlannedPartition,
  most: number,
): Promise<number | undefined> {
  const statement = selectChunk(plan, { partition, fromBlock: 0, whole: true });
  const { bytes, scansAll } = await source.withRolePath(async () => estimateRows(source, statement));
  return scansAll || bytes > most ? undefined : bytes;
}

function inOneGo({ key: _key, ...partition }: PlannedPartition): PlannedPartition {
  return { ...partition, chunks: 1 };
}
