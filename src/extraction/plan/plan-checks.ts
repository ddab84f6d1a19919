import { createHash } from 'node:crypto';
import type { ExtractionPlan, PlannedPartition } from '../../bronze/plan.ts';
import { DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { findRedefined } from '../../postgres/catalog/definitions.ts';
import { readTree, type PartitionTree } from '../../postgres/catalog/partition-tree.ts';
import { readFileNodes } from '../../postgres/catalog/partitions.ts';
import { readRewritten } from '../../postgres/catalog/rewritten-tables.ts';
import { sqlStateOf } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';
import type { Ask } from '../ask.ts';

/** Digests all partitions of a table and their bounds, including those that are not read. */
export function digestTree({ tables }: PartitionTree): string {
  const lines = [...tables.values()].map(({ oid, bound }) => `${oid} ${bound ?? ''}`);
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

/**
 * Refuses a plan whose partitions have changed: it was made before the snapshot, and would miss a partition added in
 * between. The catalog is read in the snapshot too, and so shows what the snapshot contains.
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
 * Refuses partitions whose files have changed. A rewrite (VACUUM FULL, CLUSTER, TRUNCATE, ALTER TABLE) moves rows to
 * other blocks or hides them from older snapshots; a rename may put another table in its place. A COPY keeps its lock
 * to the end of the transaction, so files that match the plan afterwards matched it throughout.
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
 * Refuses what was copied if the rows that it was computed from are no longer in the files that plan and snapshot have.
 * Must be called while the locks of the copy are held.
 *
 * A condition, a view or a policy may read any table. Which ones is known only from the locks that reading them took.
 * Since reading the server's locks is expensive, a plain table is spared that.
 *
 * @throws {DatakitError} PlanOutdated
 */
export async function requireReadAsPlanned(
  session: Session,
  { where }: Pick<ExtractionPlan, 'where'>,
  partitions: readonly PlannedPartition[],
): Promise<void> {
  await requireSameFiles(session, partitions);
  const readsOthers =
    where !== null || partitions.some((one) => one.fileNode === 0 || one.rowSecurity === true);
  const [other] = readsOthers ? await readRewritten(session) : [];
  if (other === undefined) return;
  throw new DatakitError('PlanOutdated', `${other} was rewritten or exchanged after the snapshot was taken`);
}

/**
 * Copies partitions, then checks that they are still defined as planned.
 *
 * A COPY looks columns up by name in the current catalog, and in rows of an older snapshot a column that has taken
 * over another's name is empty. No file node shows this: dropping and adding a column rewrites nothing. Checking
 * afterwards is enough, since the number of a dropped column is never reused. Policies, too, apply as they are by then.
 * It takes another transaction, since that of the COPY reads the catalog as of its snapshot.
 *
 * @param partitions the copied ones; called when the copy has ended
 * @throws {DatakitError} PlanOutdated, including when that is why the copy failed
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
    const [other] = isOfOtherDefinition(error) ? await redefined().catch(() => []) : [];
    throw other === undefined ? error : redefinedAfterPlan(other, error);
  });
  const [other] = await redefined();
  if (other !== undefined) throw redefinedAfterPlan(other);
  return copied;
}

/** Returns whether an error may come from another type of a column (its values, binary form, conditions) or a policy. */
const isOfOtherDefinition = (error: unknown): boolean => /^(22|42|08P01)/.test(sqlStateOf(error) ?? '');

const redefinedAfterPlan = (table: TableName, cause?: unknown): DatakitError =>
  new DatakitError(
    'PlanOutdated',
    `The definition of ${formatTableName(table)} was changed after it was planned`,
    { cause },
  );
