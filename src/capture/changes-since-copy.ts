import { areRewritten, isWrittenOtherwise } from '../bronze/cdc/compare-columns.ts';
import type { Capture } from '../bronze/cdc/positions.ts';
import type { CaptureTable, KnownColumn } from '../bronze/cdc/tables.ts';
import { formatTableName } from '../contract/table-name.ts';
import { quoteName } from '../postgres/identifiers.ts';
import type { Session } from '../postgres/session.ts';
import { describePublished } from './describe-published.ts';
import { doubtPartitions } from './doubt-partitions.ts';

/**
 * Returns why changes logged since a table was copied cannot be applied to its copy; each is the end of a sentence.
 * They have names and texts, which mean something else once columns, their types or the key are others.
 */
export async function changesSinceCopy(
  source: Session,
  capture: Capture,
  table: CaptureTable,
): Promise<string[]> {
  const now = await describePublished(source, capture, table);
  const { catalog } = table;
  if (catalog === null || now.catalog === null) return [];
  if (catalog.oid !== now.catalog.oid) return ['another table has its name now'];
  const rewritten = areRewritten(catalog, now.catalog);
  const columns = (table.columns ?? []).flatMap((column) => {
    const found = now.columns.find(({ name }) => name === column.name);
    // where it is gone, changes show that
    return found === undefined || isSame(column, found, rewritten)
      ? []
      : [`column ${quoteName(column.name)} is another, or was redefined`];
  });
  const hasKey = JSON.stringify(now.key) === JSON.stringify(table.key);
  const isPartitioned = !Object.hasOwn(now.catalog.files, now.catalog.oid);
  return [
    ...columns,
    ...(hasKey ? [] : [`the rows of ${formatTableName(table)} are identified by other columns`]),
    ...(isPartitioned ? await doubtPartitions(source, now.catalog, catalog) : []),
  ];
}

const isSame = (column: KnownColumn, now: KnownColumn, rewritten: boolean): boolean =>
  now.number === column.number &&
  now.typeOid === column.typeOid &&
  now.modifier === column.modifier &&
  !(rewritten && column.version !== now.version) &&
  !isWrittenOtherwise(column.parts, now.parts ?? null);
