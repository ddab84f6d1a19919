import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import {
  formatTableName,
  MAX_IDENTIFIER_BYTES,
  isTooLong,
  type TableName,
} from '../../contract/table-name.ts';

/**
 * Refuses columns whose names a warehouse in UTF-8 would cut without a word: where the source has another encoding, a
 * name of 63 bytes may have more in UTF-8.
 *
 * @throws {DatakitError} UnsupportedTable
 */
export function requireColumnNames(table: TableName, columns: readonly string[]): void {
  const long = columns.filter(isTooLong);
  if (long.length === 0) return;
  throw new DatakitError(
    'UnsupportedTable',
    `${formatTableName(table)} has columns whose names have over ${MAX_IDENTIFIER_BYTES} bytes in UTF-8, which is more than a name can have: ${listed(long, 3)}. Name the others in "columns", or read a view that gives them shorter names`,
  );
}

/** Refuses tables that no input could name. @throws {DatakitError} UnsupportedTable */
export function requireTableNames(tables: readonly TableName[]): void {
  const long = tables.filter(({ schema, name }) => isTooLong(schema) || isTooLong(name));
  if (long.length === 0) return;
  throw new DatakitError(
    'UnsupportedTable',
    `The names of these tables or their schemas have over ${MAX_IDENTIFIER_BYTES} bytes in UTF-8, which is more than a name can have: ${listed(long.map(formatTableName), 3)}. Leave them out with "!" and the beginning of the name, and read views with shorter names in their place`,
  );
}
