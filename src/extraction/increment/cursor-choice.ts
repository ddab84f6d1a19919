import { DatakitError } from '../../contract/failures.ts';
import { suggestion } from '../../contract/parse-input.ts';
import { formatTableName } from '../../contract/table-name.ts';
import { readCursorColumn, type CursorColumnFacts } from '../../postgres/catalog/cursor-column.ts';
import { cursorKind, type Cursor } from '../../postgres/cursor.ts';
import type { IncrementalContext } from './plan-increment.ts';

/**
 * Finds the cursor that the input names.
 *
 * @throws {DatakitError} UndefinedObject; InvalidInput for a type whose order differs between servers
 */
export async function chooseCursor({
  source,
  table,
  planned,
  input,
}: IncrementalContext): Promise<{ readonly cursor: Cursor; readonly facts: CursorColumnFacts }> {
  const { column } = input.incremental;
  const found = planned.find(({ name }) => name === column);
  if (found === undefined) {
    const hint = suggestion(
      column,
      planned.map(({ name }) => name),
    );
    throw new DatakitError(
      'UndefinedObject',
      `"incremental" names the column "${column}", which is not among those to extract of ${formatTableName(table)}${hint}`,
    );
  }
  // an enum becomes text, which sorts differently
  const kept = found.decision === 'kept' || found.decision === 'base type';
  const kind = kept ? cursorKind(found.type) : undefined;
  if (kind === undefined) {
    throw new DatakitError(
      'InvalidInput',
      `Column "${column}" is ${found.sourceType}, which cannot be a cursor: a timestamp, date, integer, numeric, text or uuid can`,
    );
  }
  const facts = await readCursorColumn(source, table, column);
  return { cursor: { column, kind, bytewise: facts.bytewise }, facts };
}
