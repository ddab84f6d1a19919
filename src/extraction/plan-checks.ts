import { createHash } from 'node:crypto';
import type { ExtractionPlan, PlannedPartition } from '../bronze/plan.ts';
import { DatakitError } from '../contract/failures.ts';
import { formatTableName } from '../contract/table-name.ts';
import { readTree, type PartitionTree } from '../postgres/catalog/partition-tree.ts';
import { readFileNodes } from '../postgres/catalog/partitions.ts';
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
 * so files that are still the planned ones afterwards were it all the time.
 *
 * @throws {DatakitError} PlanOutdated
 */
export async function requireSameFiles(
  session: Session,
  partitions: readonly PlannedPartition[],
): Promise<void> {
  const planned = partitions.filter(({ fileNode }) => fileNode !== 0);
  if (planned.length === 0) return;
  const now = await readFileNodes(session, planned);
  const other = planned.find(({ fileNode }, index) => now[index] !== fileNode);
  if (other === undefined) return;
  throw new DatakitError(
    'PlanOutdated',
    `${formatTableName(other)} was rewritten or exchanged after it was planned`,
  );
}
