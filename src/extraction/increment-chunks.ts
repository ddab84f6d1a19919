import type { ExtractionPlan, PlannedPartition } from '../bronze/plan.ts';
import type { Session } from '../postgres/session.ts';
import { estimateRows } from '../postgres/row-estimate.ts';
import { selectChunk } from './copy-statements.ts';

const MB = 1024 * 1024;

/** Up to this much one range of an index is read in one go, where the input sets no size of a chunk. */
const SMALL = 64 * MB;

/**
 * Reads the small part of a large partition that an increment asks for in one go, by its index.
 *
 * A partition stays cut into ranges of blocks where the planner would read all of it anyway, or
 * where what is asked for is large: a first run, or a catch-up after a long pause.
 */
export async function chunkIncrement(
  source: Session,
  plan: ExtractionPlan,
  chunkSize?: number,
): Promise<PlannedPartition[]> {
  const small = chunkSize ?? SMALL;
  const decided: PlannedPartition[] = [];
  for (const partition of plan.partitions) {
    const whole = partition.chunks <= 1 || (await isSmall(source, plan, partition, small));
    decided.push(whole && partition.chunks > 1 ? inOneGo(partition) : partition);
  }
  return decided;
}

async function isSmall(
  source: Session,
  plan: ExtractionPlan,
  partition: PlannedPartition,
  most: number,
): Promise<boolean> {
  const { bytes, scansAll } = await estimateRows(
    source,
    selectChunk(plan, { partition, fromBlock: 0, whole: true }),
  );
  return !scansAll && bytes <= most;
}

function inOneGo({ key: _key, ...partition }: PlannedPartition): PlannedPartition {
  return { ...partition, chunks: 1 };
}
