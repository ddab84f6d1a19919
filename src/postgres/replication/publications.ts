import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable, quoteText } from '../identifiers.ts';
import { orStatementFor } from '../missing-privilege.ts';
import type { Session } from '../session.ts';

/** A table as a publication sends it: under its own name or that of its root. */
export interface PublishedTable extends TableName {
  readonly oid: number;
  /** In table order, with generated columns only if they are sent. */
  readonly columns: readonly string[];
  /** The row filter, as SQL. */
  readonly where: string | null;
  /** True if the publication names it, and does not send it only as one of all tables, or of a schema. */
  readonly isNamed: boolean;
  /** Changes if the table, or its schema, is removed or added, or if the publication is altered or recreated. */
  readonly membership: string;
}

export interface Publication {
  readonly tables: readonly PublishedTable[];
  /** Those of insert, update, delete and truncate that it does not send. */
  readonly missing: readonly string[];
  /** True if this project made it, according to its comment. */
  readonly isOurs: boolean;
  /** True if it sends stored generated columns of tables that it has no column list for. */
  readonly sendsGenerated: boolean;
}

const COMMENT = 'datakit-postgres: made by captureChanges, and dropped by dropCapture';

/** Returns how a publication sends a table; undefined if it does not. It may have thousands of others. */
export async function findPublished(
  session: Session,
  publication: string,
  oid: number,
): Promise<PublishedTable | undefined> {
  return (await findPublication(session, publication, [oid]))?.tables[0];
}

/**
 * @param only the OIDs of the tables to describe
 * @returns undefined if there is no publication of that name
 */
export async function findPublication(
  session: Session,
  name: string,
  only?: readonly number[],
): Promise<Publication | undefined> {
  const [row] = await session.query<Omit<Publication, 'tables'> & Record<string, unknown>>(
    `SELECT ARRAY(SELECT operation FROM (VALUES ('insert', pubinsert), ('update', pubupdate), ('delete', pubdelete),
              ('truncate', pubtruncate)) AS o(operation, sent) WHERE NOT sent) AS missing,
            obj_description(oid, 'pg_publication') IS NOT DISTINCT FROM $2 AS "isOurs",
            to_jsonb(p) ->> 'pubgencols' IS NOT DISTINCT FROM 's' AS "sendsGenerated"
       FROM pg_catalog.pg_publication AS p WHERE pubname = $1`,
    [name, COMMENT],
  );
  if (row === undefined) return undefined;
  // column lists, row filters and whole schemas came with 15, generated columns with 18
  const [attributes, filter, bySchema] =
    session.majorVersion >= 15
      ? ['p.attnames', 'p.rowfilter', MEMBERSHIP_BY_SCHEMA]
      : ['NULL::name[]', 'NULL::text', 'NULL'];
  const generated = session.majorVersion >= 18 ? 'true' : `a.attgenerated = ''`;
  const tables = await session.query<PublishedTable & Record<string, unknown>>(
    `SELECT c.oid, p.schemaname AS schema, p.tablename AS name, ${filter} AS "where",
            r.oid IS NOT NULL AND ${bySchema} IS NULL AS "isNamed",
            concat_ws('/', b.oid, b.xmin, r.oid, ${bySchema}) AS membership,
            ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND ${generated}
                     AND (${attributes} IS NULL OR a.attname = ANY (${attributes})) ORDER BY a.attnum) AS columns
       FROM pg_catalog.pg_publication_tables p
       JOIN pg_catalog.pg_publication b ON b.pubname = p.pubname
       JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
       JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
       LEFT JOIN pg_catalog.pg_publication_rel r ON r.prpubid = b.oid AND r.prrelid = c.oid
      WHERE p.pubname = $1 AND ($2::oid[] IS NULL OR c.oid = ANY ($2)) ORDER BY p.schemaname, p.tablename`,
    [name, only ?? null],
  );
  return { tables, ...row };
}

/** Counts for a table that is named, too: as one of its schema it is sent whole, whatever its row filter. */
const MEMBERSHIP_BY_SCHEMA = `
  (SELECT s.oid FROM pg_catalog.pg_publication_namespace s WHERE s.pnpubid = b.oid AND s.pnnspid = n.oid)`;

/** Creates a publication and marks it as ours. */
export async function makePublication(
  session: Session,
  name: string,
  tables: readonly TableName[],
): Promise<void> {
  const statement = createPublication(name, tables);
  await orStatementFor(statement, async () => session.query(statement));
  await session.query(`COMMENT ON PUBLICATION ${quoteName(name)} IS ${quoteText(COMMENT)}`);
}

/** Returns the statement for a publication that sends partitions under the name of their root. */
function createPublication(name: string, tables: readonly TableName[]): string {
  return `CREATE PUBLICATION ${quoteName(name)} FOR TABLE ${listOf(tables)} WITH (publish_via_partition_root = true)`;
}

/** Lists tables with ONLY, since otherwise tables that inherit from them would be included. Partitions always are. */
const listOf = (tables: readonly TableName[]): string =>
  tables.map((table) => `ONLY ${quoteTable(table)}`).join(', ');

export function alterPublication(
  name: string,
  change: 'add' | 'remove',
  tables: readonly TableName[],
): string {
  return `ALTER PUBLICATION ${quoteName(name)} ${change === 'add' ? 'ADD' : 'DROP'} TABLE ${listOf(tables)}`;
}

/** @returns true if there was one */
export async function dropPublication(session: Session, name: string): Promise<boolean> {
  const found = await session.query('SELECT FROM pg_catalog.pg_publication WHERE pubname = $1', [name]);
  if (found.length === 0) return false;
  await session.query(`DROP PUBLICATION IF EXISTS ${quoteName(name)}`);
  return true;
}
