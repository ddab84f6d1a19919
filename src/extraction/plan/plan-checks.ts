import { createHash } from 'node:crypto';
import type { ExtractionPlan, PlannedPartition } from '../../bronze/plan.ts';
import { DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { findRedefined } from '../../postgres/catalog/definitions.ts';
import { readTree, type PartitionTree } from '../../postgres/catalog/partition-tree.ts';
import { readFileNodes } from '../../postgres/catalog/partitions.ts';
import { sqlStateOf } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';
import type { Ask } from '../increment/settle-limit.ts';

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

/**
 * Copies partitions, and makes sure afterwards that they are defined as they were planned.
 *
 * A COPY finds columns by their names, in the catalog as it is by then, and rows of an older snapshot have nothing in a
 * column that has taken the name of another. No file shows it: to drop and to add one rewrites nothing. To look afterwards is
 * enough, since the number of a column that was dropped never comes back; and it has to be in another transaction than that
 * of the COPY, which reads the catalog as of its snapshot.
 *
 * @param partitions those that were copied, asked for when the copy has ended
 * @throws {DatakitError} PlanOutdated; also where that is why the copy failed
 */
export async function copyAsPlanned<T>(
  ask: Ask,
  partitions: () => readonly PlannedPartition[],
  copy: () => Promise<T>,
): Promise<T> {
  const redefined = async () => {
    const defined = partitions().flatMap(({ schema, name, columns, key }) =>
      columns === undefined ? [] : [{ schema, name, columns, view: key?.view }],
    );
    return defined.length === 0 ? [] : ask(async (session) => findRedefined(session, defined));
  };
  const copied = await copy().catch(async (error: unknown) => {
    const [other] = isOfOtherColumns(error) ? await redefined().catch(() => []) : [];
    throw other === undefined ? error : redefinedAfterPlan(other, error);
  });
  const [other] = await redefined();
  if (other !== undefined) throw redefinedAfterPlan(other);
  return copied;
}

/** What a server says of values of another type than was planned, of the binary form of one, or of a condition on one. */
const isOfOtherColumns = (error: unknown): boolean => /^(22|42|08P01)/.test(sqlStateOf(error) ?? '');

const redefinedAfterPlan = (table: TableName, cause?: unknown): DatakitError =>
  new DatakitError(
    'PlanOutdated',
    `The definition of ${formatTableName(table)} was changed after it was planned`,
    { cause },
  );
