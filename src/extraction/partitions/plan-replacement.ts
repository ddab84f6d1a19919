import {
  findBronzeTable,
  readColumnDefinitions,
  type BronzeTable,
} from '../../bronze/schema/bronze-table.ts';
import { BRONZE } from '../../bronze/layout.ts';
import { findColumnsOfLastRun } from '../../bronze/bookkeeping/manifest.ts';
import { findPartitionRecords, type PartitionRecord } from '../../bronze/bookkeeping/partition-records.ts';
import type { PartitionReplacement, PlannedColumn } from '../../bronze/plan.ts';
import { findDrift } from '../../bronze/schema/schema-drift.ts';
import { findBase, type Base } from '../../bronze/bookkeeping/targets.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName, formatWithin, type TableName } from '../../contract/table-name.ts';
import { hasPartitions, type PartitionTree } from '../../postgres/catalog/partition-tree.ts';
import { quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import type { RequestedPartition } from './requested-partitions.ts';

export interface ReplacementContext {
  readonly warehouse: Session;
  readonly input: ExtractTableInput;
  readonly target: string;
  readonly tree: PartitionTree;
  readonly requested: readonly RequestedPartition[];
  readonly planned: readonly PlannedColumn[];
}

/** The state of bronze that a run with `"write": "replace-partitions"` finds. */
export interface ReplacedTable {
  readonly base: Base;
  readonly bronze: BronzeTable | undefined;
  /** Records of the partitions whose rows bronze has, by label. */
  readonly records: ReadonlyMap<string, PartitionRecord>;
}

/**
 * Reads the state of the bronze table whose partitions are to be replaced.
 *
 * @throws {DatakitError} InvalidInput if the table has no partitions, or only part of one is requested;
 *   TargetConflict if partitions were chosen, but it is not known which partitions the bronze rows are from
 */
export async function findReplaced(context: ReplacementContext): Promise<ReplacedTable> {
  const { warehouse, target } = context;
  requireWholePartitions(context);
  // the base first: the commit detects whatever changes between these reads
  const base = await findBase(warehouse, target);
  const bronze = await findBronzeTable(warehouse, target);
  if (bronze?.storage === undefined) return { base, bronze: undefined, records: new Map() };
  const records = await findPartitionRecords(warehouse, target);
  if (records.size === 0) await requireAllOrNone(context, bronze.storage);
  return { base, bronze, records };
}

/**
 * Decides how partitions are replaced: the whole bronze table if it has no others, otherwise only their rows.
 *
 * @param read labels of the partitions to read
 * @throws {DatakitError} SchemaChanged if new and old rows do not fit one table
 */
export async function planReplacement(
  { warehouse, target, planned }: ReplacementContext,
  { base, bronze, records }: ReplacedTable,
  read: ReadonlySet<string>,
): Promise<PartitionReplacement> {
  if (bronze === undefined || [...records.keys()].every((label) => read.has(label)))
    return { whole: true, ...base };
  findDrift({
    target: `${BRONZE}.${target}`,
    planned,
    bronze: await readColumnDefinitions(warehouse, bronze),
    previous: await findColumnsOfLastRun(warehouse, target),
    policy: 'evolve',
  });
  return { whole: false, ...base };
}

function requireWholePartitions({ tree, requested }: ReplacementContext): void {
  const shown = formatTableName(tree.root);
  if (!hasPartitions(tree)) {
    throw new DatakitError(
      'InvalidInput',
      `"write" is "replace-partitions", and ${shown} has no partitions: leave it out`,
    );
  }
  const cut = requested.filter(({ filter }) => filter !== undefined);
  if (cut.length === 0) return;
  const names = cut.map(({ table }) => formatWithin(tree.root.schema, table));
  throw new DatakitError(
    'InvalidInput',
    `"replace-partitions" would replace all rows of ${listed(names, 3)} by those in the range: choose "from" and "to" at the bounds of the partitions, or "exact": false to read all of them`,
  );
}

async function requireAllOrNone(
  { warehouse, input, target }: ReplacementContext,
  storage: TableName,
): Promise<void> {
  if (input.partitions === undefined) return;
  const rows = await warehouse.query(`SELECT FROM ${quoteTable(storage)} LIMIT 1`);
  if (rows.length === 0) return;
  throw new DatakitError('TargetConflict', `${BRONZE}.${target} has rows whose partition is not known`, {
    advice: 'Run once without "partitions", which replaces all rows, or choose another "target".',
  });
}
