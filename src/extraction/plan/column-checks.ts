import { isMetadata, metadataColumns } from '../../bronze/layout.ts';
import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import {
  formatTableName,
  isTooLong,
  MAX_IDENTIFIER_BYTES,
  type TableName,
} from '../../contract/table-name.ts';

/**
 * Refuses columns that a bronze table cannot have: those with a name of our own, and those whose name a warehouse in
 * UTF-8 would cut without a word. Where the source has another encoding, a name of 63 bytes may have more in UTF-8.
 *
 * @throws {DatakitError} UnsupportedTable; InvalidInput
 */
export function requireColumnNames(table: TableName, columns: readonly string[]): void {
  const shown = formatTableName(table);
  const long = columns.filter(isTooLong);
  if (long.length > 0) {
    throw new DatakitError(
      'UnsupportedTable',
      `${shown} has columns whose names have over ${MAX_IDENTIFIER_BYTES} bytes in UTF-8, which is more than a name can have: ${listed(long, 3)}. Name the others in "columns", or read a view that gives them shorter names`,
    );
  }
  const clash = columns.find(isMetadata);
  if (clash === undefined) return;
  throw new DatakitError(
    'InvalidInput',
    `${shown} has a column "${clash}", which is the name of a metadata column: leave it out with "exclude"`,
  );
}

/** MaxHeapAttributeNumber: https://www.postgresql.org/docs/current/limits.html. */
const MOST_COLUMNS = 1600;

/** @throws {DatakitError} UnsupportedTable if the bronze table would have more columns than a table can have */
export function requireRoom(
  table: TableName,
  columns: number,
  { incremental, partitioned }: { readonly incremental: boolean; readonly partitioned: boolean },
): void {
  const ofEveryRun = metadataColumns({ loadedAt: '', sourceUri: '', table, runId: '' }).length;
  // _bronze_checkpoint and _bronze_deleted_at; _bronze_partition and _bronze_parent_table
  const metadata = ofEveryRun + (incremental ? 2 : 0) + (partitioned ? 2 : 0);
  const tooMany = columns + metadata - MOST_COLUMNS;
  if (tooMany <= 0) return;
  throw new DatakitError(
    'UnsupportedTable',
    `${formatTableName(table)} would have ${columns} columns in bronze, and ${metadata} of metadata; a table has at most ${MOST_COLUMNS}: leave out ${tooMany} with "exclude"`,
  );
}
