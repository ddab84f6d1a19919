import type { ExtractionPlan, PlannedPartition } from '../../bronze/plan.ts';
import type { Partition } from '../../postgres/catalog/partitions.ts';
import { estimateEach } from '../../postgres/row-estimate.ts';
import type { Session } from '../../postgres/session.ts';
import { selectChunk } from '../copy/copy-statements.ts';
import { askPartitions, type Asked } from './ask-partitions.ts';

const MB = 1024 * 1024;

/** Up to this many bytes of an index range are read in one go, unless the input sets a chunk size. */
const SMALL = 64 * MB;

/** The fields of a plan that an increment narrows. */
type Read = Pick<ExtractionPlan, 'partitions' | 'size'>;

/**
 * Plans to read the small part of a large partition that an increment asks for in one go, by its index, and nothing of
 * partitions without any such row.
 *
 * A partition stays cut into block ranges if the planner would read all of it anyway, or if the requested part is
 * large: a backfill, or a catch-up after a long pause.
 *
 * @param outside the partitions that cannot have such a row, by their OIDs
 */
export async function chunkIncrement(
  source: Session,
  plan: ExtractionPlan,
  asked: Asked,
  { chunkSize, outside }: { readonly chunkSize: number | undefined; readonly outside: ReadonlySet<number> },
): Promise<Read> {
  const maybe = asked.partitions.filter(({ oid }) => !outside.has(oid));
  const few = await findFewBytes(source, plan, { ...asked, partitions: maybe }, chunkSize ?? SMALL);
  const blocks = plan.partitions.reduce((sum, partition) => sum + partition.blocks, 0);
  const sizes = plan.partitions.map(({ oid, blocks: own }) =>
    outside.has(oid) ? 0 : (few.get(oid) ?? (plan.size * own) / Math.max(1, blocks)),
  );
  return {
    partitions: plan.partitions.map((one) =>
      outside.has(one.oid) ? notAtAll(one) : few.has(one.oid) ? inOneGo(one) : one,
    ),
    size: sizes.reduce((sum, size) => sum + size, 0),
  };
}

/**
 * Estimates the bytes that an increment reads of the partitions that are cut, by their OIDs; leaves out those of which
 * they are many or no index finds them.
 */
async function findFewBytes(
  source: Session,
  plan: ExtractionPlan,
  { table, partitions }: Asked,
  most: number,
): Promise<ReadonlyMap<number, number>> {
  const planned = new Map(plan.partitions.map((partition) => [partition.oid, partition]));
  const isCut = ({ oid }: Partition) => (planned.get(oid)?.chunks ?? 0) > 1;
  const few = new Map<number, number>();
  const asked = { table, partitions: partitions.filter(isCut), where: plan.where ?? undefined };
  await askPartitions(source, asked, async (some) => {
    const read = some.flatMap(({ oid }) => planned.get(oid) ?? []);
    const statements = read.map((partition) => selectChunk(plan, { partition, fromBlock: 0, whole: true }));
    for (const [index, { bytes, scansAll }] of (await estimateEach(source, statements)).entries()) {
      const oid = read[index]?.oid;
      if (oid !== undefined && !scansAll && bytes <= most) few.set(oid, bytes);
    }
    return false;
  });
  return few;
}

function inOneGo({ key: _key, ...partition }: PlannedPartition): PlannedPartition {
  return { ...partition, chunks: 1 };
}

/** Keeps the partition, and so the numbers of the chunks, for a statement that the server answers without a look. */
function notAtAll({ key: _key, ...partition }: PlannedPartition): PlannedPartition {
  return { ...partition, chunks: Math.min(partition.chunks, 1), filter: 'false' };
}
