import type { TableName } from '../../contract/table-name.ts';
import type { Session } from '../session.ts';
import { beneathView } from './relations-beneath.ts';

/**
 * Returns SQL for a digest of the columns of a table, up to the column numbered `last`.
 *
 * Dropped columns count: their numbers are never reused, so a new column of the same name changes the digest.
 * The expression of a virtual column counts too, since its values are stored nowhere.
 */
export const columnsDigest = (table: string, last: string): string =>
  `(SELECT md5(string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, CASE WHEN a.attgenerated = 'v' THEN
                             (SELECT d.adbin::text FROM pg_catalog.pg_attrdef d
                               WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) END), ',' ORDER BY a.attnum))
      FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = ${table} AND a.attnum > 0 AND a.attnum <= ${last})`;

/**
 * Returns SQL for the versions of the policies of a table, null if there are none. One that is changed and changed back
 * is another version.
 */
const policiesDigest = (table: string): string =>
  `(SELECT md5(string_agg(concat_ws(' ', p.oid, p.xmin), ',' ORDER BY p.oid))
      FROM pg_catalog.pg_policy p WHERE p.polrelid = ${table})`;

/**
 * Returns SQL for the definition of a relation, as one text: the number of the last column, the digest of the columns up
 * to it, and the policies if they decide which rows the role is shown. With the number, columns added later can be
 * ignored: they do not change what is read of the others.
 */
export const relationDefinition = (table: string, last: string): string =>
  `concat_ws(' ', ${last}, ${columnsDigest(table, last)},
             CASE WHEN row_security_active(${table}) THEN coalesce(${policiesDigest(table)}, 'no policies') END)`;

/**
 * Returns SQL for a digest of a view, of all that it reads, and of the files and policies of the tables among that.
 *
 * Uses the rules of the views as the server stores them, whose text does not depend on a search path.
 */
const viewDigest = (view: string): string =>
  `(WITH RECURSIVE ${beneathView(view, 'true')}
    SELECT md5(string_agg(concat_ws(' ', c.oid, c.relfilenode, c.relrowsecurity, c.relforcerowsecurity,
                                    ${policiesDigest('c.oid')}, md5(r.ev_action::text)), ',' ORDER BY c.oid, r.oid))
      FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_rewrite r ON r.ev_class = c.oid AND c.relkind = 'v'
     WHERE c.oid = ANY (ARRAY(SELECT oid FROM beneath)))`;

/** Returns how a view is defined now, for later comparison; undefined if the relation is not a view. */
export async function readViewDefinition(
  session: Session,
  { oid }: { readonly oid: number },
): Promise<string | undefined> {
  const [row] = await session.query<{ definition: string }>(
    `SELECT ${viewDigest('c.oid')} AS definition FROM pg_catalog.pg_class c WHERE c.oid = $1 AND c.relkind = 'v'`,
    [oid],
  );
  return row?.definition;
}

/** A relation, with its {@link relationDefinition} when it was planned. */
export interface Defined extends TableName {
  readonly columns: string;
  /** Definition of a view that several statements read. */
  readonly view?: string | undefined;
}

/**
 * Returns the relations whose definition has changed or that are gone. Looks them up by name, as a COPY does.
 *
 * Must run in a transaction that began after they were read: a COPY may use a newer catalog than its transaction.
 */
export async function findRedefined(session: Session, relations: readonly Defined[]): Promise<TableName[]> {
  return session.query<TableName & Record<string, unknown>>(
    // one by one: for a join with such conditions the planner reads all of pg_class
    `SELECT was.schema, was.name
       FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS was(schema, name, columns, view)
      CROSS JOIN LATERAL (
        SELECT (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = was.schema AND c.relname = was.name) AS oid OFFSET 0
      ) AS now
      WHERE ${relationDefinition('now.oid', `split_part(was.columns, ' ', 1)::int`)} <> was.columns
         OR CASE WHEN was.view IS NOT NULL THEN was.view IS DISTINCT FROM ${viewDigest('now.oid')} END`,
    [
      relations.map(({ schema }) => schema),
      relations.map(({ name }) => name),
      relations.map(({ columns }) => columns),
      relations.map(({ view }) => view ?? null),
    ],
  );
}
