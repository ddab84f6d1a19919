import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { patternMatcher } from '../../contract/name-pattern.ts';
import { suggestion } from '../../contract/parse-input.ts';
import type { PartitionChoice } from '../../contract/partition-inputs.ts';
import { formatTableName, formatWithin } from '../../contract/table-name.ts';
import { readPartitionKeys } from '../../postgres/catalog/partition-keys.ts';
import {
  hasPartitions,
  lineage,
  type PartitionTree,
  type TreeTable,
} from '../../postgres/catalog/partition-tree.ts';
import type { Session } from '../../postgres/session.ts';
import { layRange } from './time-range.ts';

/** A partition that an input asks for. */
export interface RequestedPartition {
  readonly table: TreeTable;
  /** SQL condition for the requested rows; absent where all rows are read. */
  readonly filter?: string;
}

/**
 * Finds the partitions that an input asks for, from the catalog alone.
 *
 * @throws {DatakitError} InvalidInput if the table is not partitioned, or not by time; UndefinedObject for unknown
 *   names
 */
export async function findRequested(
  session: Session,
  tree: PartitionTree,
  choice: PartitionChoice | undefined,
): Promise<RequestedPartition[]> {
  if (choice === undefined) return tree.leaves.map((table) => ({ table }));
  if (!hasPartitions(tree)) {
    throw new DatakitError(
      'InvalidInput',
      `"partitions" is not possible: ${formatTableName(tree.root)} has no partitions`,
    );
  }
  const { from, to } = choice;
  if (from === undefined && to === undefined) return byNames(tree, choice);
  return byRange(session, tree, choice);
}

async function byRange(
  session: Session,
  tree: PartitionTree,
  { exact = true, ...choice }: PartitionChoice,
): Promise<RequestedPartition[]> {
  const keys = await readPartitionKeys(session, [...tree.tables.keys()]);
  const { reachOf, condition } = await layRange(session, tree, keys, choice);
  return tree.leaves.flatMap((table) => {
    const reach = reachOf(table);
    if (reach === 'outside') return [];
    return [{ table, ...(reach === 'across' && exact && { filter: condition }) }];
  });
}

/** Matches the names of a partition or its ancestors; the schema may be omitted if it is that of the table. */
function byNames(tree: PartitionTree, { names = [], patterns = [] }: PartitionChoice): RequestedPartition[] {
  const wanted = new Set(names);
  const matchers = patterns.map((pattern) => patternMatcher(pattern, '*?'));
  const fits = (name: string) => matchers.some((matches) => matches(name));
  const found = new Set<string>();
  const chosen = tree.leaves.filter((leaf) => {
    const called = namesOf(tree, leaf);
    const named = called.filter((name) => wanted.has(name));
    for (const name of named) found.add(name);
    return named.length > 0 || called.some(fits);
  });
  requireAll(tree, names, found);
  return chosen.map((table) => ({ table }));
}

function namesOf(tree: PartitionTree, leaf: TreeTable): string[] {
  const within = lineage(tree, leaf).filter((table) => table === leaf || table !== tree.root);
  return within.flatMap((table) => [formatWithin(tree.root.schema, table), formatTableName(table)]);
}

function requireAll(tree: PartitionTree, names: readonly string[], found: ReadonlySet<string>): void {
  const below = [...tree.tables.values()].filter(({ oid, holdsRows }) => holdsRows || oid !== tree.root.oid);
  const known = below.map((table) => formatWithin(tree.root.schema, table));
  const all = new Set(
    below.flatMap((table) => [formatWithin(tree.root.schema, table), formatTableName(table)]),
  );
  const unknown = names.filter((name) => !found.has(name) && !all.has(name));
  const [first] = unknown;
  if (first === undefined) return;
  throw new DatakitError(
    'UndefinedObject',
    `${formatTableName(tree.root)} has no partition ${listed(
      unknown.map((name) => `"${name}"`),
      5,
    )}${suggestion(first, known)}`,
  );
}
