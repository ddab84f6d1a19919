import { DELETED_AT } from '../layout.ts';
import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import type { ColumnDefinition } from '../schema/bronze-table.ts';
import { equalityOf } from '../equality.ts';

/** Every key that the source had in the run's snapshot, and the rows of bronze to compare them with. */
export interface KeyComparison {
  readonly keys: TableName;
  readonly storage: TableName;
  /** The key columns, in the types of bronze. */
  readonly key: readonly ColumnDefinition[];
  readonly at: string;
}

/** Marks the rows whose key is gone, unmarks those whose key is back, and returns how many keys are newly gone. */
export async function markDeleted(
  session: Session,
  { keys, storage, key, at }: KeyComparison,
): Promise<number> {
  const there = `EXISTS (SELECT FROM ${quoteTable(keys)} AS k
    WHERE ${key.map(({ name, type }) => `k.${quoteName(name)} ${equalityOf(type)} b.${quoteName(name)}`).join(' AND ')})`;
  await session.query(
    `UPDATE ${quoteTable(storage)} AS b SET ${DELETED_AT.name} = NULL WHERE b.${DELETED_AT.name} IS NOT NULL AND ${there}`,
  );
  const columns = key.map(({ name }) => `b.${quoteName(name)}`).join(', ');
  const { count } = await session.one<{ count: string }>(
    `WITH gone AS (
       UPDATE ${quoteTable(storage)} AS b SET ${DELETED_AT.name} = ${quoteText(at)}::timestamptz
        WHERE b.${DELETED_AT.name} IS NULL AND NOT ${there}
        RETURNING ${columns}
     ) SELECT count(*) FROM (SELECT DISTINCT * FROM gone) AS keys`,
  );
  return Number(count);
}
