import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName } from '../../contract/table-name.ts';
import type { Partition } from '../../postgres/catalog/partitions.ts';
import type { ServerFacts } from '../../postgres/catalog/server.ts';
import type { Table } from '../../postgres/catalog/table.ts';

const hiding = (partitions: readonly Partition[]): string[] =>
  partitions.filter(({ rowSecurityActive }) => rowSecurityActive).map(formatTableName);

/** @throws {DatakitError} RowsHidden if policies decide which rows the role is shown */
export function requireAllRows(partitions: readonly Partition[], { role }: ServerFacts): void {
  const tables = hiding(partitions);
  if (tables.length === 0) return;
  throw new DatakitError(
    'RowsHidden',
    `Row-level security is active on ${listed(tables, 3)} for the role ${role}, and may hide rows`,
  );
}

/** Each partition is read by its own name, so its own policies apply, whatever those of the parent. */
export function rowSecurityWarnings(
  table: Table,
  partitions: readonly Partition[],
  { role }: ServerFacts,
): string[] {
  const tables = hiding(partitions);
  if (tables.length > 0) {
    return [
      `Row-level security is active on ${listed(tables, 3)} for the role ${role}: rows that its policies hide were not extracted.`,
    ];
  }
  if (!table.rowSecurityActive) return [];
  return [
    `The policies of ${formatTableName(table)} hid nothing from the role ${role}: its partitions are read directly, and have none.`,
  ];
}
