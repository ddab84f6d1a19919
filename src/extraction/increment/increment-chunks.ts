import type { ExtractionPlan, PlannedPartition } from '../../bronze/plan.ts';
import type { Session } from '../../postgres/session.ts';
import { estimateRows } from '../../postgres/row-estimate.ts';
import { selectChunk } from '../copy/copy-statements.ts';

const MB = 1024 * 1024;

/** Up to this much one range of an index is read in one go, where the input sets no size of a chunk. */
const SMALL = 64 * MB;

/** What an increment reads of a plan. */
type Read = Pick<ExtractionPlan, 'partitions' | 'size'>;

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

/** How much the increment asks for of a partition, where that is little and an index leads to it. */
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
