import type { PlannedPartition } from '../../bronze/plan.ts';
import { listed } from '../../contract/listed.ts';
import { formatTableName } from '../../contract/table-name.ts';
import { quoteName } from '../../postgres/identifiers.ts';
import { findOtherExpressions } from '../../postgres/catalog/virtual-columns.ts';
import type { Column } from '../../postgres/catalog/columns.ts';
import type { Table } from '../../postgres/catalog/table.ts';
import type { Session } from '../../postgres/session.ts';

/** Tells of partitions that are read with other values than a query of their table shows. */
export async function warningsOfVirtualColumns(
  source: Session,
  table: Table,
  columns: readonly Column[],
  partitions: readonly Pick<PlannedPartition, 'oid'>[],
): Promise<string[]> {
  const oids = partitions.map(({ oid }) => oid);
  const found = await findOtherExpressions(source, table.oid, oids);
  return columns.flatMap(({ name }) => {
    const others = found.filter(({ column }) => column === name).map(formatTableName);
    if (others.length === 0) return [];
    return `The virtual column ${quoteName(name)} has another expression in ${listed(others, 3)} than in ${formatTableName(table)}: bronze has what the partition computes, and a query of the table shows what the table computes.`;
  });
}
