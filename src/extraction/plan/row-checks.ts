import { metadataColumns } from '../../bronze/layout.ts';
import type { PlannedColumn } from '../../bronze/plan.ts';
import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import type { Partition } from '../../postgres/catalog/partitions.ts';
import type { ServerFacts } from '../../postgres/catalog/server.ts';

/** MaxHeapAttributeNumber: https://www.postgresql.org/docs/current/limits.html. */
const MOST_COLUMNS = 1600;
/** Number of metadata columns that every run adds. */
const metadataOfAll = metadataColumns({
  loadedAt: '',
  sourceUri: '',
  table: { schema: '', name: '' },
  runId: '',
  incremental: undefined,
}).length;
/** `_bronze_checkpoint` and `_bronze_deleted_at`. */
const METADATA_OF_INCREMENTS = 2;
/** `_bronze_partition` and `_bronze_parent_table`. */
const METADATA_OF_PARTITIONS = 2;

/** @throws {DatakitError} UnsupportedTable if the bronze table would have more columns than a table can have */
export function requireRoom(
  columns: readonly PlannedColumn[],
  table: TableName,
  { incremental, partitioned }: { readonly incremental: boolean; readonly partitioned: boolean },
): void {
  const metadata =
    metadataOfAll + (incremental ? METADATA_OF_INCREMENTS : 0) + (partitioned ? METADATA_OF_PARTITIONS : 0);
  const all = columns.length + metadata;
  if (all <= MOST_COLUMNS) return;
  throw new DatakitError(
    'UnsupportedTable',
    `${formatTableName(table)} would have ${columns.length} columns in bronze, and ${metadata} of metadata; a table has at most ${MOST_COLUMNS}: leave out ${all - MOST_COLUMNS} with "exclude"`,
  );
}

/** @throws {DatakitError} RowsHidden if policies decide which rows the role is shown */
export function requireAllRows(partitions: readonly Partition[], { role }: ServerFacts): void {
  const hiding = partitions.filter(({ rowSecurityActive }) => rowSecurityActive).map(formatTableName);
  if (hiding.length === 0) return;
  throw new DatakitError(
    'RowsHidden',
    `Row-level security is active on ${listed(hiding, 3)} for the role ${role}, and may hide rows`,
  );
}
