import type { PartitionKey } from '../../postgres/catalog/partition-keys.ts';
import { lineage, type PartitionTree, type TreeTable } from '../../postgres/catalog/partition-tree.ts';
import { quoteName } from '../../postgres/identifiers.ts';
import { parseBound, type PartitionBound } from '../../postgres/partition-bound.ts';
import type { Session } from '../../postgres/session.ts';
import { combined, reachOf, valuesAt, type RankRange, type Reach } from './bound-reach.ts';

/** A part of partition keys whose values the server orders in one way only. */
export interface OrderedKey {
  /** A column or an expression, as SQL. */
  readonly sql: string;
  /** A type of PostgreSQL without collation. */
  readonly type: string;
}

/**
 * Compares a range of a key with the partition bounds in the catalog, without opening any partition. Where bounds are
 * inconclusive, the answer is `across`, never `outside`.
 *
 * @param range from a value on, up to one that is not included
 */
export async function relateToBounds(
  session: Session,
  tree: PartitionTree,
  keys: ReadonlyMap<number, PartitionKey>,
  key: OrderedKey,
  { from, to }: { readonly from: string | undefined; readonly to: string | undefined },
): Promise<(leaf: TreeTable) => Reach> {
  const placed = [...tree.tables.values()].flatMap((table) => placeOf(table, tree, keys, key));
  const ranks = await rankValues(session, key, [
    ...placed.flatMap(({ bound, position }) => valuesAt(bound, position)),
    ...[from, to].filter((text) => text !== undefined),
  ]);
  const rank = (text: string) => ranks.get(text) ?? Number.NaN;
  const wanted: RankRange = {
    lo: from === undefined ? Number.NEGATIVE_INFINITY : rank(from),
    hi: to === undefined ? Number.POSITIVE_INFINITY : rank(to),
    hiIncluded: false,
  };
  const reaches = new Map(
    placed.map((place) => {
      const siblings = () => placed.filter(({ parent }) => parent === place.parent).map(({ bound }) => bound);
      return [place.table.oid, reachOf({ ...place, siblings }, wanted, rank)];
    }),
  );
  return (leaf) => combined(lineage(tree, leaf).map(({ oid }) => reaches.get(oid) ?? 'across'));
}

/** A partition whose parent is partitioned by the key. */
interface Place {
  readonly table: TreeTable;
  readonly parent: number;
  readonly bound: PartitionBound;
  /** Index of the key among the columns of the parent's key. */
  readonly position: number;
  readonly othersNullable: boolean;
}

function placeOf(
  table: TreeTable,
  tree: PartitionTree,
  keys: ReadonlyMap<number, PartitionKey>,
  key: OrderedKey,
): Place[] {
  if (table.bound === null || table.oid === tree.root.oid) return [];
  const bound = parseBound(table.bound);
  return table.parents.flatMap((parent) => {
    const parts = keys.get(parent)?.parts ?? [];
    const position = parts.findIndex(({ sql, type }) => sql === key.sql && type === key.type);
    const othersNullable = parts.some(({ nullable }, index) => nullable && index !== position);
    return position < 0 ? [] : [{ table, parent, bound, position, othersNullable }];
  });
}

/** Has the server order the values, since it knows infinity, BC years and time zones. */
async function rankValues(
  session: Session,
  { type }: OrderedKey,
  texts: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const rows = await session.query<{ text: string; rank: string }>(
    `SELECT text, dense_rank() OVER (ORDER BY text::${quoteName(type)}) AS rank FROM unnest($1::text[]) AS text`,
    [[...new Set(texts)]],
  );
  return new Map(rows.map(({ text, rank }) => [text, Number(rank)]));
}
