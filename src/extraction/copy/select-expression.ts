import type { PlannedColumn } from '../../bronze/plan.ts';
import { quoteName, quoteText } from '../../postgres/identifiers.ts';

/** Returns what the source selects, so that the warehouse can take it as the column's type there. */
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

/** SQL for whether a large object exists. The subquery keeps `m.oid` from capturing a column named `oid`. */
export const objectExists = (oid: string): string =>
  `EXISTS (SELECT FROM (SELECT ${oid} AS wanted) AS w JOIN pg_catalog.pg_largeobject_metadata AS m ON m.oid OPERATOR(pg_catalog.=) w.wanted)`;

/** SQL for whether a large object, which must exist, exceeds the limit: reads only the byte after it. */
export const isLarger = (oid: string, limit: number): string =>
  `pg_catalog.octet_length(pg_catalog.lo_get(${oid}, ${limit}, 1)) > 0`;

/**
 * SQL for the name of what a `regclass` or the like refers to, with schema and arguments, whatever the search path. A
 * dangling reference becomes the text of its OID.
 */
function objectName(value: string, catalog: string): string {
  const identity = `(pg_catalog.pg_identify_object(${quoteText(`pg_catalog.${catalog}`)}::regclass, ${value}::oid, 0)).identity`;
  return `CASE WHEN ${value}::oid OPERATOR(pg_catalog.<>) 0 THEN coalesce(${identity}, ${value}::oid::text) ELSE ${value}::text END`;
}

/** Only one-dimensional arrays that start at 1 can be rebuilt from elements; others keep the server's own text. */
function objectNames(array: string, catalog: string): string {
  const names = `ARRAY(SELECT ${objectName('e', catalog)} FROM pg_catalog.unnest(${array}) WITH ORDINALITY AS u(e, n) ORDER BY n)`;
  return `CASE WHEN pg_catalog.array_ndims(${array}) = 1 AND pg_catalog.array_lower(${array}, 1) = 1 THEN ${names} ELSE ${array}::text[] END`;
}
