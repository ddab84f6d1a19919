/** Matches the schema that `format_type` writes before a type that is not on the search path: `public.citext`. */
const SCHEMA = /^("(?:[^"]|"")+"|[^".( ]+)\./;

/**
 * Returns SQL for the equality operator of a type, the one that an index on it uses.
 *
 * The bare name would find PostgreSQL's own: that of `text` for `citext`, none for `hstore`. An extension's
 * operators are in the schema of its types.
 *
 * @param type as the catalog of the warehouse writes it
 */
export function equalityOf(type: string): string {
  const schema = type.endsWith('[]') ? undefined : SCHEMA.exec(type)?.[1];
  return `OPERATOR(${schema ?? 'pg_catalog'}.=)`;
}
