import type { TableName } from '../../contract/table-name.ts';
import type { Session } from '../session.ts';

/**
 * SQL for a digest of the columns of a table, up to the one of a number.
 *
 * What is dropped counts: its number is never given to another column, so that one of the same name shows as another.
 * Of a virtual column the expression counts too, since its values are nowhere else.
 */
export const columnsDigest = (table: string, last: string): string =>
  `(SELECT md5(string_agg(concat_ws(' ', a.attnum, a.attname, a.atttypid, a.atttypmod, CASE WHEN a.attgenerated = 'v' THEN
                             (SELECT d.adbin::text FROM pg_catalog.pg_attrdef d
                               WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) END), ',' ORDER BY a.attnum))
      FROM pg_catalog.pg_attribute a
     WHERE a.attrelid = ${table} AND a.attnum > 0 AND a.attnum <= ${last})`;

/**
 * SQL for how the columns of a relation are defined: the number of the last one, and the digest up to it, as one text.
 * Columns that are added later do not change what is read of the others.
 */
export const columnsDefinition = (table: string, last: string): string =>
  `concat_ws(' ', ${last}, ${columnsDigest(table, last)})`;

/** A relation, with how its columns were defined when it was planned. */
export interface Defined extends TableName {
  readonly columns: string;
}

/**
 * Those that are not defined as they were, or are gone. By name, as a COPY reads them.
 *
 * In a transaction that began after they were read: that of a COPY may see an older catalog than the COPY itself goes by.
 */
export async function findRedefined(session: Session, relations: readonly Defined[]): Promise<TableName[]> {
  return session.query<TableName & Record<string, unknown>>(
    `SELECT was.schema, was.name
       FROM unnest($1::text[], $2::text[], $3::text[]) AS was(schema, name, columns)
       LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = was.schema
       LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = was.name
      WHERE ${columnsDefinition('c.oid', `split_part(was.columns, ' ', 1)::int`)} <> was.columns`,
    [
      relations.map(({ schema }) => schema),
      relations.map(({ name }) => name),
      relations.map(({ columns }) => columns),
    ],
  );
}
