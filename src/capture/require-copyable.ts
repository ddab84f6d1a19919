import { DatakitError } from '../contract/failures.ts';
import { listed } from '../contract/listed.ts';
import { formatTableName, type TableName } from '../contract/table-name.ts';
import { quoteName, quoteTable } from '../postgres/identifiers.ts';
import { missingPrivilege } from '../postgres/missing-privilege.ts';
import type { Candidate } from '../postgres/replication/candidates.ts';
import type { Publication, PublishedTable } from '../postgres/replication/publications.ts';
import type { Session } from '../postgres/session.ts';

/**
 * Refuses tables whose copies would fail, before any is made: hours later, each would only be given up.
 *
 * @throws {DatakitError} InsufficientPrivilege, naming all of them; KeyConflict
 */
export async function requireCopyable(
  session: Session,
  publication: Pick<Publication, 'tables'>,
  candidates: readonly Candidate[],
  { mirror }: { readonly mirror: boolean },
): Promise<void> {
  const sent = new Map(publication.tables.map((table) => [table.oid, table]));
  const published = candidates.flatMap(({ oid }) => sent.get(oid) ?? []);
  if (mirror) for (const { oid, key, ...table } of candidates) requireKeySent(table, key, sent.get(oid));
  const unreadable = await findUnreadable(session, published);
  if (unreadable.length > 0) throw mayNotRead(unreadable);
}

/** @throws {DatakitError} KeyConflict if changes come without the columns by which rows are found */
export function requireKeySent(
  table: TableName,
  key: readonly string[],
  published: Pick<PublishedTable, 'columns'> | undefined,
): void {
  const unsent = key.filter((column) => published?.columns.includes(column) === false);
  if (unsent.length === 0) return;
  throw new DatakitError(
    'KeyConflict',
    `The publication does not send ${listed(unsent.map(quoteName), 5)} of ${formatTableName(table)}, so that "mirror" cannot find its rows`,
    { advice: 'Add it to the column list of the publication, or leave "mirror" out.' },
  );
}

interface Unreadable extends TableName {
  /** False if the role may not use its schema. */
  readonly usable: boolean;
  readonly role: string;
}

/** Finds tables, or partitions that hold their rows, of which the role may not read a column that is sent. */
async function findUnreadable(session: Session, tables: readonly PublishedTable[]): Promise<Unreadable[]> {
  return session.query<Unreadable & Record<string, unknown>>(
    `SELECT DISTINCT n.nspname AS schema, c.relname AS name, has_schema_privilege(n.oid, 'USAGE') AS usable, current_user AS role
       FROM json_to_recordset($1::json) AS sent(oid oid, columns text[])
      CROSS JOIN LATERAL (SELECT sent.oid AS relid UNION
                          SELECT relid FROM pg_catalog.pg_partition_tree(sent.oid) WHERE isleaf) AS leaf
       JOIN pg_catalog.pg_class c ON c.oid = leaf.relid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_table_privilege(c.oid, 'SELECT') AND EXISTS (
              SELECT FROM pg_catalog.pg_attribute a
               WHERE a.attrelid = c.oid AND a.attname = ANY (sent.columns) AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT'))
      ORDER BY n.nspname, c.relname`,
    [JSON.stringify(tables.map(({ oid, columns }) => ({ oid, columns })))],
  );
}

function mayNotRead(tables: readonly Unreadable[]): DatakitError {
  const schemas = new Set(tables.flatMap(({ usable, schema }) => (usable ? [] : [quoteName(schema)])));
  const to = `TO ${quoteName(tables[0]?.role ?? '')}`;
  const statement = [
    ...(schemas.size === 0 ? [] : [`GRANT USAGE ON SCHEMA ${[...schemas].join(', ')} ${to}`]),
    `GRANT SELECT ON ${tables.map(quoteTable).join(', ')} ${to}`,
  ].join('; ');
  return missingPrivilege(`The role may not read ${listed(tables.map(formatTableName), 5)}`, statement);
}
