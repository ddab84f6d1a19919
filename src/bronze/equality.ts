/** The schema of a type, as `format_type` writes it where no search path leads to it: `public.citext`. */
const SCHEMA = /^("(?:[^"]|"")+"|[^".( ]+)\./;

/**
 * SQL: the operator that says whether two values of a type are equal, as an index on them has it.
 *
 * By its name alone that of PostgreSQL would be found: for `citext` the one of `text`, for `hstore` none. What an
 * extension brings is in the schema of its types.
 *
 * @param type as the catalog of the warehouse writes it
 */
export function equalityOf(type: string): string {
  const schema = type.endsWith('[]') ? undefined : SCHEMA.exec(type)?.[1];
  return `OPERATOR(${schema ?? 'pg_catalog'}.=)`;
}
