import type { LiveColumn } from '../bronze/cdc/mirror-schema.ts';
import type { TableName } from '../contract/table-name.ts';
import type { Session } from '../postgres/session.ts';

/**
 * The columns of a table as the catalog of the source has them now, by name.
 *
 * Of a partitioned table the rows, and so what is missing in them, are in its leaves.
 */
export async function readLiveColumns(
  source: Session,
  { schema, name }: TableName,
): Promise<ReadonlyMap<string, LiveColumn>> {
  const rows = await source.query<LiveColumn & { name: string }>(
    `SELECT a.attname AS name, a.attnum AS number,
            a.atthasdef OR a.attidentity <> '' AS "hasDefault",
            (SELECT (l.attmissingval::text::text[])[1] FROM pg_catalog.pg_attribute l
              WHERE l.atthasmissing AND l.attname = a.attname
                AND l.attrelid IN (SELECT c.oid UNION SELECT relid FROM pg_catalog.pg_partition_tree(c.oid)) LIMIT 1) AS missing
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      WHERE n.nspname = $1 AND c.relname = $2`,
    [schema, name],
  );
  return new Map(rows.map((row) => [row.name, row]));
}
