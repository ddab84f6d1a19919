import type { PlannedColumn } from '../../bronze/plan.ts';
import { quoteName, quoteText } from '../../postgres/identifiers.ts';

/** What the source is asked for, so that the warehouse can take it as the column's type there. */
export function selectExpression({
  name,
  from = name,
  read,
  type,
  catalog = '',
  limit = 0,
}: PlannedColumn): string {
  const column = quoteName(from);
  switch (read) {
    case 'as is':
      return column;
    case 'cast':
      return `${column}::${type}`;
    case 'to_jsonb':
      return `pg_catalog.to_jsonb(${column})`;
    case 'object name':
      return objectName(column, catalog);
    case 'object names':
      return objectNames(column, catalog);
    case 'large object':
      return `CASE WHEN NOT ${objectExists(column)} THEN NULL WHEN ${isLarger(column, limit)} THEN NULL ELSE pg_catalog.lo_get(${column}) END`;
  }
}

/** Whether there is a large object of the OID. A column may be called `oid` too, hence the query that names it alone. */
export const objectExists = (oid: string): string =>
  `EXISTS (SELECT FROM (SELECT ${oid} AS wanted) AS w JOIN pg_catalog.pg_largeobject_metadata AS m ON m.oid OPERATOR(pg_catalog.=) w.wanted)`;

/** Whether a large object, which must exist, has more bytes; only the one after the limit is looked for. */
export const isLarger = (oid: string, limit: number): string =>
  `pg_catalog.octet_length(pg_catalog.lo_get(${oid}, ${limit}, 1)) > 0`;

/**
 * The name of what a `regclass` or its like points at, with its schema and its arguments, whatever
 * the search path is. Where it points at nothing it is the text of the OID.
 */
function objectName(value: string, catalog: string): string {
  const identity = `(pg_catalog.pg_identify_object(${quoteText(`pg_catalog.${catalog}`)}::regclass, ${value}::oid, 0)).identity`;
  return `CASE WHEN ${value}::oid OPERATOR(pg_catalog.<>) 0 THEN coalesce(${identity}, ${value}::oid::text) ELSE ${value}::text END`;
}

/** Only arrays of one dimension can be put together again from their elements; of others the server's own text is taken. */
function objectNames(array: string, catalog: string): string {
  const names = `ARRAY(SELECT ${objectName('e', catalog)} FROM pg_catalog.unnest(${array}) WITH ORDINALITY AS u(e, n) ORDER BY n)`;
  return `CASE WHEN pg_catalog.array_ndims(${array}) = 1 AND pg_catalog.array_lower(${array}, 1) = 1 THEN ${names} ELSE ${array}::text[] END`;
}
