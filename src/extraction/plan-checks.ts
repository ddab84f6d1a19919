import { createHash } from 'node:crypto';
import type { ExtractionPlan, PlannedPartition } from '../bronze/plan.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatTableName } from '../contract/table-name.ts';
import { readTree, type PartitionTree } from '../postgres/catalog/partition-tree.ts';
import { readFileNode } from '../postgres/catalog/partitions.ts';
import type { Session } from '../postgres/session.ts';

/** All partitions of a table and their bounds, those that are not read among them. */
export function digestTree({ tables }: PartitionTree): string {
  const lines = [...tables.values()].map(({ oid, bound }) => `${oid} ${bound ?? ''}`);
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/**
 * The plan was made before the snapshot: a partition that came between them would be missed.
 * The catalog is read in the snapshot too, so what is there is what the snapshot has.
 *
 * @throws {DatakitError} PlanOutdated
 */
export async function requireSamePartitions(session: Session, plan: ExtractionPlan): Promise<void> {
  const [table] = await session.query<{ oid: number }>(
    `SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2`,
    [plan.table.schema, plan.table.name],
  );
  if (table !== undefined && digestTree(await readTree(session, table)) === plan.tree) return;
  const shown = formatTableName(plan.table);
  throw new DatakitError('PlanOutdated', `The partitions of ${shown} changed after they were planned`);
}

/**
 * A rewrite of the table (VACUUM FULL, CLUSTER, TRUNCATE, ALTER TABLE) moves rows to other blocks,
 * or hides them from older snapshots; a rename may put another in its place. A COPY holds its lock to the end of the transaction,
 * so a file that is still the planned one afterwards was it all the time.
 *
 * @throws {DatakitError} PlanOutdated
 */
export async function requireSameFile(session: Session, partition: PlannedPartition): Promise<void> {
  if (partition.fileNode === 0) return;
  const now = await readFileNode(session, partition);
  if (now === partition.fileNode) return;
  throw new DatakitError(
    'PlanOutdated',
    `${formatTableName(partition)} was rewritten or exchanged after it was planned`,
  );
}
