import { DatakitError } from '../../contract/failures.ts';
import { suggestion } from '../../contract/parse-input.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import type { Session } from '../session.ts';

/** Bounds what is compared with a name that is not there. */
const MOST_TABLES = 5000;

/**
 * Returns the failure that the source has no table of this name, which names a similar one: of the same name in another
 * schema, or else of a name like it.
 *
 * @param kinds values of `pg_class.relkind` that would do
 */
export async function noSuchTable(
  session: Session,
  name: TableName,
  kinds: readonly string[],
  options: { readonly advice?: string },
): Promise<DatakitError> {
  const tables = await session.query<TableName & Record<string, unknown>>(
    `SELECT n.nspname AS schema, c.relname AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind = ANY ($2::"char"[]) AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND NOT c.relispartition
      ORDER BY n.nspname = $1 DESC, c.relname LIMIT ${MOST_TABLES}`,
    [name.schema, kinds],
  );
  const elsewhere = tables.find((table) => table.name === name.name);
  const hint =
    elsewhere === undefined
      ? suggestion(formatTableName(name), tables.map(formatTableName))
      : ` (did you mean "${formatTableName(elsewhere)}"?)`;
  return new DatakitError(
    'UndefinedObject',
    `There is no table ${formatTableName(name)} in the source${hint}`,
    options,
  );
}
