import type { PartitionChoice } from '../../contract/partition-inputs.ts';
import type { Moment } from '../../contract/moment.ts';
import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName } from '../../contract/table-name.ts';
import type { KeyPart, PartitionKey } from '../../postgres/catalog/partition-keys.ts';
import type { PartitionTree, TreeTable } from '../../postgres/catalog/partition-tree.ts';
import { quoteText } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import type { Reach } from './bound-reach.ts';
import { relateToBounds, type OrderedKey } from './relate-to-bounds.ts';

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
 * Compares a time range with the bounds of partitions.
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
  return {
    reachOf: await relateToBounds(session, tree, keys, key, { from: from?.text, to: to?.text }),
    condition: [
      from && `${key.sql} OPERATOR(pg_catalog.>=) ${literal(from, key)}`,
      to && `${key.sql} OPERATOR(pg_catalog.<) ${literal(to, key)}`,
    ]
      .filter((condition) => condition !== undefined)
      .join(' AND '),
  };
}

/** Its type is a key of {@link timeTypes}. */
type TimeKey = KeyPart & OrderedKey;

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
