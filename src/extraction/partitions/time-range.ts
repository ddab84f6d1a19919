import type { PartitionChoice } from '../../contract/partition-inputs.ts';
import type { Moment } from '../../contract/moment.ts';
import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName } from '../../contract/table-name.ts';
import type { KeyPart, PartitionKey } from '../../postgres/catalog/partition-keys.ts';
import { lineage, type PartitionTree, type TreeTable } from '../../postgres/catalog/partition-tree.ts';
import { quoteText } from '../../postgres/identifiers.ts';
import { parseBound, type PartitionBound } from '../../postgres/partition-bound.ts';
import type { Session } from '../../postgres/session.ts';
import { combined, reachOf, valuesAt, type Reach, type Span } from './bound-reach.ts';

type PartitionKeys = ReadonlyMap<number, PartitionKey>;

/** A time range, applied to the keys of a partition tree. */
export interface TimeRange {
  readonly reachOf: (leaf: TreeTable) => Reach;
  /** SQL condition for the rows in the range. */
  readonly condition: string;
}

const timeTypes: Readonly<Record<string, string>> = {
  date: 'date',
  timestamp: 'timestamp without time zone',
  timestamptz: 'timestamp with time zone',
};

/**
 * Compares a time range with the partition bounds in the catalog, without opening any partition. Where bounds are
 * inconclusive, the answer is `across`, never `outside`.
 *
 * @throws {DatakitError} InvalidInput if the table is not partitioned by time, or the range has a time of day or zone
 *   that its key lacks
 */
export async function layRange(
  session: Session,
  tree: PartitionTree,
  keys: PartitionKeys,
  { from, to }: Pick<PartitionChoice, 'from' | 'to'>,
): Promise<TimeRange> {
  const key = findTimeKey(tree, keys);
  for (const [input, moment] of Object.entries({ from, to })) requireKind(input, moment, key);
  const placed = [...tree.tables.values()].flatMap((table) => placeOf(table, tree, keys, key));
  const ranks = await rankValues(session, key, [
    ...placed.flatMap(({ bound, position }) => valuesAt(bound, position)),
    ...[from, to].flatMap((moment) => (moment === undefined ? [] : [moment.text])),
  ]);
  const rank = (text: string) => ranks.get(text) ?? Number.NaN;
  const wanted: Span = {
    lo: from === undefined ? Number.NEGATIVE_INFINITY : rank(from.text),
    hi: to === undefined ? Number.POSITIVE_INFINITY : rank(to.text),
    hiIncluded: false,
  };
  const reaches = new Map(
    placed.map((place) => {
      const siblings = () => placed.filter(({ parent }) => parent === place.parent).map(({ bound }) => bound);
      return [place.table.oid, reachOf({ ...place, siblings }, wanted, rank)];
    }),
  );
  return {
    reachOf: (leaf) => combined(lineage(tree, leaf).map(({ oid }) => reaches.get(oid) ?? 'across')),
    condition: [
      from && `${key.sql} OPERATOR(pg_catalog.>=) ${literal(from, key)}`,
      to && `${key.sql} OPERATOR(pg_catalog.<) ${literal(to, key)}`,
    ]
      .filter((condition) => condition !== undefined)
      .join(' AND '),
  };
}

interface TimeKey extends KeyPart {
  /** A key of {@link timeTypes}. */
  readonly type: string;
}

const literal = ({ text }: Moment, { type }: TimeKey): string => `${quoteText(text)}::${timeTypes[type]}`;

const isTimeKey = (part: KeyPart): part is TimeKey => part.type !== null && part.type in timeTypes;

/** Finds the time key nearest to the root; of several such columns in one key, the first. */
function findTimeKey(tree: PartitionTree, keys: PartitionKeys): TimeKey {
  for (let level = [tree.root]; level.length > 0; level = below(tree, level)) {
    const found = level.flatMap(({ oid }) => {
      const key = keys.get(oid);
      const part = key?.strategy === 'hash' ? undefined : key?.parts.find(isTimeKey);
      return part === undefined ? [] : [part];
    });
    const [first] = found;
    if (first === undefined) continue;
    const names = [...new Set(found.map(({ sql }) => sql))];
    if (names.length === 1) return first;
    throw refuse(tree, `its parts are partitioned by different times (${listed(names, 5)})`);
  }
  const definition = keys.get(tree.root.oid)?.definition;
  throw refuse(
    tree,
    definition === undefined ? 'it is not partitioned' : `it is partitioned by ${definition}`,
  );
}

function below(tree: PartitionTree, level: readonly TreeTable[]): TreeTable[] {
  const above = new Set(level.map(({ oid }) => oid));
  return [...tree.tables.values()].filter(({ parents }) => parents.some((oid) => above.has(oid)));
}

const refuse = ({ root }: PartitionTree, reason: string): DatakitError =>
  new DatakitError(
    'InvalidInput',
    `"partitions" has a range of time, and ${formatTableName(root)} is not partitioned by ranges or lists of dates or timestamps: ${reason}. Use "names", "patterns" or "where"`,
  );

/** Refuses what PostgreSQL would silently drop: the time of day for a date, the zone for a timestamp without one. */
function requireKind(input: string, moment: Moment | undefined, { sql, type }: TimeKey): void {
  if (moment === undefined) return;
  const problem =
    type === 'date' && moment.hasTime
      ? 'a time, and the key of the partitions is a date'
      : type === 'timestamp' && moment.hasZone
        ? 'a time zone, and the key of the partitions has none'
        : undefined;
  if (problem === undefined) return;
  throw new DatakitError('InvalidInput', `"partitions.${input}" (${moment.text}) has ${problem}: ${sql}`);
}

/** A partition whose parent is partitioned by the time key. */
interface Place {
  readonly table: TreeTable;
  readonly parent: number;
  readonly bound: PartitionBound;
  /** Index of the time key among the columns of the parent's key. */
  readonly position: number;
  readonly othersNullable: boolean;
}

function placeOf(table: TreeTable, tree: PartitionTree, keys: PartitionKeys, key: TimeKey): Place[] {
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
  { type }: TimeKey,
  texts: readonly string[],
): Promise<ReadonlyMap<string, number>> {
  const rows = await session.query<{ text: string; rank: string }>(
    `SELECT text, dense_rank() OVER (ORDER BY text::${timeTypes[type]}) AS rank FROM unnest($1::text[]) AS text`,
    [[...new Set(texts)]],
  );
  return new Map(rows.map(({ text, rank }) => [text, Number(rank)]));
}
