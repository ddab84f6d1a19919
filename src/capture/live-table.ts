import type { LiveColumn, LiveTable } from '../bronze/cdc/compare-columns.ts';
import type { CatalogEntry } from '../bronze/cdc/tables.ts';
import type { Session } from '../postgres/session.ts';
import { doubtPartitions } from './doubt-partitions.ts';

/**
 * The table and, if it is partitioned, its partitions: these have the rows, and the values missing in them. As a list, like
 * those below: for a join the planner reads a whole catalog, and this is asked for each of thousands of tables.
 */
const FAMILY = `ANY (ARRAY(SELECT $1::oid UNION SELECT relid FROM pg_catalog.pg_partition_tree($1)))`;

/**
 * SQL for the `parts` of a column of a type, NULL if there are none: of what the type is made of, on all levels.
 * Types that come with the server have none.
 *
 * @param type SQL for its OID, which may use names of the enclosing query
 */
export const partsOf = (type: string): string =>
  `(WITH RECURSIVE made AS (
      SELECT t.oid, t.typelem, t.typbasetype, t.typrelid FROM pg_catalog.pg_type t WHERE t.oid = ${type} AND t.oid >= 16384
      UNION
      SELECT t.oid, t.typelem, t.typbasetype, t.typrelid FROM made m JOIN pg_catalog.pg_type t ON t.oid >= 16384 AND t.oid = ANY (ARRAY(
        SELECT m.typelem UNION ALL SELECT m.typbasetype
        UNION ALL SELECT r.rngsubtype FROM pg_catalog.pg_range r WHERE m.oid IN (r.rngtypid, r.rngmultitypid)
        UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute a WHERE a.attrelid = m.typrelid AND a.attnum > 0))
    )
    SELECT json_object_agg(part.oid, part.text) FROM (
      SELECT e.oid, e.enumlabel::text AS text FROM pg_catalog.pg_enum e WHERE e.enumtypid = ANY (ARRAY(SELECT oid FROM made))
      UNION ALL
      SELECT m.oid, (SELECT string_agg(a.attnum || ' ' || a.atttypid, ',' ORDER BY a.attnum)
                       FROM pg_catalog.pg_attribute a WHERE a.attrelid = m.typrelid AND a.attnum > 0 AND NOT a.attisdropped)
        FROM made m) AS part
     WHERE part.text IS NOT NULL)`;

/** Reads what the source's catalog says of a table; undefined if it no longer exists. */
export async function readCatalogEntry(source: Session, oid: number): Promise<CatalogEntry | undefined> {
  const [entry] = await source.query<CatalogEntry & Record<string, unknown>>(
    `SELECT c.oid, c.relnatts AS width,
            (SELECT coalesce(json_object_agg(f.oid, f.relfilenode), '{}')
               FROM pg_catalog.pg_class f WHERE f.oid = ${FAMILY} AND f.relkind = 'r') AS files
       FROM pg_catalog.pg_class c WHERE c.oid = $1`,
    [oid],
  );
  return entry;
}

/**
 * Likewise, with its current columns.
 *
 * @param known what the catalog said of it before
 */
export async function readLiveTable(
  source: Session,
  oid: number,
  known: CatalogEntry | null,
): Promise<LiveTable | undefined> {
  const entry = await readCatalogEntry(source, oid);
  if (entry === undefined) return undefined;
  const rows = await source.query<LiveColumn & { name: string }>(
    `SELECT a.attname AS name, a.attnum AS number, a.xmin::text AS version,
            (SELECT array_to_string(l.attmissingval, '') FROM pg_catalog.pg_attribute l
              WHERE l.atthasmissing AND l.attname = a.attname AND l.attrelid = ${FAMILY} LIMIT 1) AS missing,
            ${partsOf('a.atttypid')} AS parts
       FROM pg_catalog.pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped`,
    [oid],
  );
  const columns = new Map(rows.map(({ name, ...column }) => [name, column]));
  // only partitioned tables have no file of their own
  const doubts = Object.hasOwn(entry.files, oid) ? [] : await doubtPartitions(source, entry, known);
  return { ...entry, columns, doubts };
}
