import type { CheckpointLimit } from '../../bronze/incremental-plan.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import type { Cursor } from '../../postgres/cursor.ts';
import type { Session } from '../../postgres/session.ts';
import { isBelow } from './cursor-bounds.ts';

/**
 * Warns if all rows lie below the range of a run that continues from its checkpoint. Only known for cursors whose
 * greatest value was looked up.
 */
export async function goneBackWarnings(
  source: Session,
  { table, cursor }: { readonly table: TableName; readonly cursor: Cursor },
  limit: CheckpointLimit,
  readFrom: string | null,
): Promise<string[]> {
  if (limit.kind !== 'value' || readFrom === null || limit.value === readFrom) return [];
  if (!(await isBelow(source, cursor, limit.value, readFrom))) return [];
  return [
    `The greatest value of "${cursor.column}" in ${formatTableName(table)} is below the checkpoint, and below its lookback. Nothing is missed if the newest rows were only deleted. If values began again (a restored source, TRUNCATE ... RESTART IDENTITY), new rows are not read until they pass the checkpoint: extract everything again with "resetCheckpoint".`,
  ];
}
