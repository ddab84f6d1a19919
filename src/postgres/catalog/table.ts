import { DatakitError } from '../../contract/failures.ts';
import { suggestion } from '../../contract/parse-input.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { quoteTable } from '../identifiers.ts';
import type { Session } from '../session.ts';

/** `pg_class.relkind` of what holds rows to extract. */
export type TableKind = 'table' | 'partitioned table' | 'view' | 'materialized view' | 'foreign table';

const kinds: Readonly<Record<string, TableKind>> = {
  r: 'table',
  p: 'partitioned table',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
};

export interface Table extends TableName {
  readonly oid: number;
  readonly kind: TableKind;
  /** Whether row-level security decides which rows this role is shown. */
  readonly rowSecurityActive: boolean;
}

/**
 * Finds a table by its exact name.
 *
 * @throws {DatakitError} UndefinedObject, naming a similar table; InsufficientPrivilege; UnsupportedTable
 */
export async function findTable(session: Session, name: TableName): Promise<Table> {
  const [row] = await session.query<{ oid: number; relkind: string; row_security: boolean; usable: boolean }>(
    `SELECT c.oid, c.relkind, row_security_active(c.oid) AS row_security,
            has_schema_privilege(n.oid, 'USAGE') AS usable
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2`,
    [name.schema, name.name],
  );
  if (row === undefined) throw await notFound(session, name);
  const kind = kinds[row.relkind];
  const shown = formatTableName(name);
  if (kind === undefined) throw new DatakitError('UnsupportedTable', `${shown} is no table (relkind "${row.relkind}")`);
  if (!row.usable) {
    throw new DatakitError('InsufficientPrivilege', `The role may not use the schema of ${shown} (USAGE is missing)`);
  }
  return { ...name, oid: row.oid, kind, rowSecurityActive: row.row_security };
}

async function notFound(session: Session, name: TableName): Promise<DatakitError> {
  const tables = await session.query<{ schema: string; name: string }>(
    `SELECT n.nspname AS schema, c.relname AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND NOT c.relispartition
      ORDER BY n.nspname = $1 DESC, c.relname LIMIT 5000`,
    [name.schema],
  );
  const elsewhere = tables.find((table) => table.name === name.name);
  const hint =
    elsewhere === undefined
      ? suggestion(formatTableName(name), tables.map(formatTableName))
      : ` (did you mean "${formatTableName(elsewhere)}"?)`;
  return new DatakitError('UndefinedObject', `There is no table ${formatTableName(name)} in the source${hint}`);
}

/** Plans the statement on the server without running it, so that what is wrong with `where` is known before anything is made. */
export async function checkWhere(session: Session, table: TableName, where: string): Promise<void> {
  await session.query(`EXPLAIN SELECT FROM ${quoteTable(table)} WHERE (${where})`);
}
