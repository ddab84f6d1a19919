import { DatakitError } from '../../contract/failures.ts';
import { suggestion } from '../../contract/parse-input.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../identifiers.ts';
import { missingPrivilege } from '../missing-privilege.ts';
import type { Session } from '../session.ts';

/** A kind of relation that can be extracted, from `pg_class.relkind`. */
export type TableKind = 'table' | 'partitioned table' | 'view' | 'materialized view' | 'foreign table';

const kinds: Readonly<Record<string, TableKind>> = {
  r: 'table',
  p: 'partitioned table',
  v: 'view',
  m: 'materialized view',
  f: 'foreign table',
};

const others: Readonly<Record<string, string>> = {
  i: 'an index',
  I: 'an index',
  S: 'a sequence',
  c: 'a composite type',
};

export interface Table extends TableName {
  readonly oid: number;
  readonly kind: TableKind;
  /** True if row-level security decides which rows this role sees. */
  readonly rowSecurityActive: boolean;
  /** The role that reads it. */
  readonly role: string;
}

/**
 * Finds a table by its exact name.
 *
 * @throws {DatakitError} UndefinedObject, naming a similar table; InsufficientPrivilege; UnsupportedTable
 */
export async function findTable(session: Session, name: TableName): Promise<Table> {
  const [row] = await findRelations(session, [name]);
  if (row === undefined) throw await notFound(session, name);
  return asTable(row);
}

/** Finds relations of any kind by their exact names; missing ones are left out. */
export async function findRelations(session: Session, names: readonly TableName[]): Promise<Relation[]> {
  return session.query<Relation & Record<string, unknown>>(
    `SELECT n.nspname AS schema, c.relname AS name, c.oid, c.relkind, row_security_active(c.oid) AS row_security,
            has_schema_privilege(n.oid, 'USAGE') AS usable, c.relpersistence AS persistence,
            c.relispopulated AS populated, pg_is_in_recovery() AS standby, current_user AS role
       FROM unnest($1::text[], $2::text[]) AS wanted(schema, name)
       JOIN pg_catalog.pg_namespace n ON n.nspname = wanted.schema
       JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.name`,
    [names.map(({ schema }) => schema), names.map(({ name }) => name)],
  );
}

/** @throws {DatakitError} InsufficientPrivilege; UnsupportedTable */
export function asTable(row: Relation): Table {
  const { schema, name } = row;
  const kind = kinds[row.relkind];
  const shown = formatTableName(row);
  if (kind === undefined)
    throw new DatakitError('UnsupportedTable', `${shown} is ${others[row.relkind] ?? 'no table'}`);
  if (!row.usable) {
    throw missingPrivilege(
      `The role may not use the schema of ${shown} (USAGE is missing)`,
      `GRANT USAGE ON SCHEMA ${quoteName(schema)} TO ${quoteName(row.role)}`,
    );
  }
  requireContents(row, shown);
  return { schema, name, oid: row.oid, kind, rowSecurityActive: row.row_security, role: row.role };
}

/** A relation as the catalog describes it. */
export interface Relation extends TableName {
  readonly oid: number;
  readonly relkind: string;
  readonly row_security: boolean;
  readonly usable: boolean;
  /** `p` permanent, `u` unlogged, `t` temporary. */
  readonly persistence: string;
  readonly populated: boolean;
  readonly standby: boolean;
  readonly role: string;
}

/** Refuses relations whose rows no other session, or not this server, can read, and those not populated yet. */
function requireContents({ persistence, populated, standby }: Relation, shown: string): void {
  if (persistence === 't') {
    throw new DatakitError(
      'UnsupportedTable',
      `${shown} is a temporary table, which only the session that made it can read`,
    );
  }
  if (persistence === 'u' && standby) {
    throw new DatakitError(
      'UnsupportedTable',
      `${shown} is an unlogged table, whose rows are on the primary only`,
    );
  }
  if (!populated) {
    throw new DatakitError(
      'UnsupportedTable',
      `${shown} has no contents yet: REFRESH MATERIALIZED VIEW fills it`,
    );
  }
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
  return new DatakitError(
    'UndefinedObject',
    `There is no table ${formatTableName(name)} in the source${hint}`,
    { ...(name.name.includes('*') && { advice: 'Patterns such as "public.*" are for "extractDatabase".' }) },
  );
}

/**
 * Lets the server parse the condition, so that errors in it are known before anything is created.
 *
 * PREPARE only analyses. Unlike the planner it calls no functions, so that the server's messages
 * may quote names and literals of the condition but no value of a row.
 */
export async function checkWhere(session: Session, table: TableName, where: string): Promise<void> {
  const statement = `SELECT FROM ${quoteTable(table)} AS ${quoteName(table.name)} WHERE (${where})`;
  await session.withRolePath(async () =>
    session.query(`PREPARE datakit_where AS ${statement}; DEALLOCATE datakit_where`),
  );
}
