import { readPartitionKeys } from '../../postgres/catalog/partition-keys.ts';
import type { PartitionTree } from '../../postgres/catalog/partition-tree.ts';
import type { Partition } from '../../postgres/catalog/partitions.ts';
import type { Cursor, CursorKind, CursorRange } from '../../postgres/cursor.ts';
import { quoteName } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { relateToBounds } from '../partitions/relate-to-bounds.ts';

/** What the catalog calls the types of cursors. Texts are left out: bounds order them by the collation of the key. */
const typeNames: Readonly<Partial<Record<CursorKind, string>>> = {
  timestamptz: 'timestamptz',
  timestamp: 'timestamp',
  date: 'date',
  smallint: 'int2',
  integer: 'int4',
  bigint: 'int8',
  numeric: 'numeric',
  uuid: 'uuid',
};

/**
 * Finds the partitions, by their OIDs, whose bounds say that they have no row in a range of the cursor.
 *
 * The bounds are those in the catalog as the plan sees it, and a run begins again if its snapshot sees others. So they
 * hold for every row that it reads, whatever happens to the partitions later. The planner of the server would go by
 * the bounds that they have by then: a row may have been moved since, before its partition was attached with others.
 * Nobody holds a foreign table to its bounds.
 */
export async function findOutside(
  source: Session,
  { tree, partitions }: { readonly tree: PartitionTree; readonly partitions: readonly Partition[] },
  { column, kind }: Cursor,
  { from, to }: CursorRange,
): Promise<ReadonlySet<number>> {
  const type = typeNames[kind];
  if (type === undefined) return new Set();
  const key = { sql: quoteName(column), type };
  const keys = await readPartitionKeys(source, [...tree.tables.keys()]);
  const parts = [...keys.values()].flatMap((one) => (one.strategy === 'hash' ? [] : one.parts));
  if (!parts.some((part) => part.sql === key.sql && part.type === type)) return new Set();
  const range = { from: from ?? undefined, to: to ?? undefined };
  const reachOf = await relateToBounds(source, tree, keys, key, range);
  const here = new Set(partitions.filter(({ hasBlocks }) => hasBlocks).map(({ oid }) => oid));
  const outside = tree.leaves.filter((leaf) => here.has(leaf.oid) && reachOf(leaf) === 'outside');
  return new Set(outside.map(({ oid }) => oid));
}
