import type { PlannedKey } from '../../bronze/plan.ts';
import type { SourceTypes } from '../../bronze/schema/type-mapping.ts';
import { DatakitError } from '../../contract/failures.ts';
import { suggestion } from '../../contract/parse-input.ts';
import { formatTableName } from '../../contract/table-name.ts';
import { unreadableColumns } from '../../postgres/catalog/choose-columns.ts';
import type { Column } from '../../postgres/catalog/columns.ts';
import { readViewDefinition } from '../../postgres/catalog/definitions.ts';
import type { Partition } from '../../postgres/catalog/partitions.ts';
import type { Table } from '../../postgres/catalog/table.ts';
import { quoteTable } from '../../postgres/identifiers.ts';
import { estimateRows } from '../../postgres/row-estimate.ts';
import type { Session } from '../../postgres/session.ts';
import { blocksPerChunk, type ChunkSizing } from './chunk-ranges.ts';
import { baseOf } from './derived-columns.ts';
import { splitKeys, type KeyKind } from './split-keys.ts';

/** A plan stores every boundary, so their number is limited. */
const MOST_CHUNKS = 1000;

/** By source type: the SQL type and kind of boundaries. Floats are excluded: NaN and -0 have no place in ranges. */
const keyTypes: Readonly<Record<string, { readonly type: string; readonly kind: KeyKind }>> = {
  int2: { type: 'smallint', kind: 'integer' },
  int4: { type: 'integer', kind: 'integer' },
  int8: { type: 'bigint', kind: 'integer' },
  uuid: { type: 'uuid', kind: 'uuid' },
  date: { type: 'date', kind: 'date' },
  timestamp: { type: 'timestamp without time zone', kind: 'timestamp' },
  timestamptz: { type: 'timestamp with time zone', kind: 'timestamp' },
  text: { type: 'text', kind: 'text' },
  varchar: { type: 'text', kind: 'text' },
};

export interface KeyColumn {
  readonly column: string;
  readonly type: string;
  readonly kind: KeyKind;
  readonly nullable: boolean;
}

/**
 * Finds the column that an input names in "chunkBy".
 *
 * @throws {DatakitError} UndefinedObject, InsufficientPrivilege, InvalidInput for a type without ranges
 */
export function findKeyColumn(
  name: string,
  columns: readonly Column[],
  types: SourceTypes,
  table: Table,
): KeyColumn {
  const column = columns.find((candidate) => candidate.name === name);
  const shown = formatTableName(table);
  if (column === undefined) {
    const hint = suggestion(name, columns.map((candidate) => candidate.name)); // prettier-ignore
    throw new DatakitError('UndefinedObject', `${shown} has no column "${name}" to chunk by${hint}`);
  }
  if (column.readable === false) throw unreadableColumns(table, [name], false);
  const base = baseOf(column.typeOid, types);
  const key = base?.builtIn === true ? keyTypes[base.name] : undefined;
  if (key !== undefined) return { column: name, nullable: column.nullable, ...key };
  throw new DatakitError(
    'InvalidInput',
    `"chunkBy" names "${name}", which is ${column.type}: expected smallint, integer, bigint, uuid, date, timestamp or text`,
  );
}

/** Cuts a partition without blocks into ranges: by its estimated size, and at least one per parallel copy. */
export async function planKey(
  session: Session,
  partition: Partition,
  { column, type, kind, nullable }: KeyColumn,
  sizing: Omit<ChunkSizing, 'totalBlocks' | 'blockSize'>,
): Promise<PlannedKey> {
  const { rows, bytes } = await session.withRolePath(async () =>
    estimateRows(session, `SELECT * FROM ONLY ${quoteTable(partition)}`),
  );
  const perChunk = blocksPerChunk({ ...sizing, totalBlocks: bytes, blockSize: 1 });
  const ranges = Math.min(Math.max(Math.ceil(bytes / perChunk), sizing.parallelism), MOST_CHUNKS);
  const doubtful = partition.isForeign && !nullable;
  const boundaries = await splitKeys(session, { partition, column, type, kind, doubtful, ranges, rows });
  const view = await readViewDefinition(session, partition);
  return { column, type, boundaries, doubtful, ...(view !== undefined && { view }) };
}
