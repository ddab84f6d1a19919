import { DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { quoteName } from '../identifiers.ts';
import { missingPrivilege } from '../missing-privilege.ts';
import type { Session } from '../session.ts';
import { noSuchTable } from './no-such-table.ts';

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
  if (row === undefined) {
    const advice = name.name.includes('*')
      ? { advice: 'Patterns such as "public.*" are for "extractDatabase".' }
      : {};
    throw await noSuchTable(session, name, Object.keys(kinds), advice);
  }
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
