import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { suggestion } from '../../contract/parse-input.ts';
import type { SchemaOrTable } from '../../contract/schema-or-table.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable, quoteText } from '../identifiers.ts';
import { missingPrivilege } from '../missing-privilege.ts';
import { sqlStateOf } from '../server-failure.ts';
import type { Session } from '../session.ts';

/** A table whose changes can be captured. */
export interface Candidate extends TableName {
  readonly oid: number;
  /** `d` primary key, `i` an index, `f` all columns, `n` nothing. */
  readonly replicaIdentity: string;
  /**
   * Columns that identify a row at any moment, in key order; empty if there are none. A deferrable key does not
   * count: two rows may share it within a transaction, and PostgreSQL does not accept it as replica identity either.
   */
  readonly key: readonly string[];
}

/**
 * Returns the tables that match the patterns: ordinary and partitioned ones. A partition matches only
 * if it is named itself, since its changes come under the name of its root.
 *
 * @throws {DatakitError} UndefinedObject, UnsupportedTable
 */
export async function findCandidates(
  session: Session,
  patterns: readonly SchemaOrTable[],
): Promise<Candidate[]> {
  const found = new Map<number, Found>();
  for (const pattern of patterns) {
    const tables =
      pattern.all === true ? await ofSchema(session, pattern.schema) : [await named(session, pattern)];
    for (const table of tables) found.set(table.oid, table);
  }
  const tables = [...found.values()];
  await requireLogged(session, tables);
  return tables;
}

/** @throws {DatakitError} UnsupportedTable if a table has partitions whose changes are not in the write-ahead log */
async function requireLogged(session: Session, tables: readonly Found[]): Promise<void> {
  const roots = tables.filter(({ kind }) => kind === 'p').map(({ oid }) => oid);
  if (roots.length === 0) return;
  const unlogged = await findUnlogged(session, roots);
  if (unlogged.length === 0) return;
  throw new DatakitError('UnsupportedTable', noChangesOf(listed(unlogged.map(formatTableName), 5)));
}

/** Returns partitions whose changes are not in the write-ahead log: unlogged and foreign ones. */
export async function findUnlogged(session: Session, roots: readonly number[]): Promise<TableName[]> {
  return session.query<TableName & Record<string, unknown>>(
    `SELECT n.nspname AS schema, c.relname AS name
       FROM unnest($1::oid[]) AS root(oid) CROSS JOIN LATERAL pg_catalog.pg_partition_tree(root.oid) AS leaf
       JOIN pg_catalog.pg_class c ON c.oid = leaf.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relpersistence <> 'p' OR c.relkind = 'f' ORDER BY n.nspname, c.relname`,
    [roots],
  );
}

const noChangesOf = (tables: string): string =>
  `${tables} has no changes in the write-ahead log: only ordinary and partitioned tables do, and only if they are neither temporary nor unlogged`;

export const CANDIDATE = `SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relreplident AS "replicaIdentity",
         c.relkind AS kind, c.relpersistence AS persistence, c.relispartition AS partition,
         ARRAY(SELECT a.attname::text FROM pg_catalog.pg_index i
                 CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k(attnum, position)
                 JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                WHERE i.indrelid = c.oid AND i.indimmediate AND k.position <= i.indnkeyatts
                  AND CASE c.relreplident WHEN 'i' THEN i.indisreplident WHEN 'n' THEN false ELSE i.indisprimary END
                ORDER BY k.position) AS key
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace`;

export async function findCandidate(session: Session, oid: number): Promise<Candidate | undefined> {
  const [table] = await session.query<Candidate & Record<string, unknown>>(`${CANDIDATE} WHERE c.oid = $1`, [
    oid,
  ]);
  return table;
}

interface Found extends Candidate {
  readonly kind: string;
  readonly persistence: string;
  readonly partition: boolean;
}

async function ofSchema(session: Session, schema: string): Promise<Found[]> {
  const tables = await session.query<Found & Record<string, unknown>>(
    `${CANDIDATE} WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition
      ORDER BY c.relname`,
    [schema],
  );
  if (tables.length > 0) return tables;
  const schemas = await session.query<{ name: string }>(
    `SELECT nspname AS name FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' LIMIT 5000`,
  );
  const names = schemas.map(({ name }) => name);
  const hint = names.includes(schema) ? '' : suggestion(schema, names);
  throw new DatakitError(
    'UndefinedObject',
    `The schema "${schema}" of the source has no tables${hint}`,
    adviceOnPatterns(schema),
  );
}

async function named(session: Session, name: TableName): Promise<Found> {
  const [table] = await session.query<Found & Record<string, unknown>>(
    `${CANDIDATE} WHERE n.nspname = $1 AND c.relname = $2`,
    [name.schema, name.name],
  );
  const shown = formatTableName(name);
  if (table === undefined) {
    const others = await session.query<{ text: string }>(
      `SELECT n.nspname || '.' || c.relname AS text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') ORDER BY n.nspname = $1 DESC LIMIT 5000`,
      [name.schema],
    );
    const hint = suggestion(shown, others.map(({ text }) => text)); // prettier-ignore
    throw new DatakitError(
      'UndefinedObject',
      `There is no table ${shown} in the source${hint}`,
      adviceOnPatterns(name.schema, name.name),
    );
  }
  if (!['r', 'p'].includes(table.kind) || table.persistence !== 'p') {
    throw new DatakitError('UnsupportedTable', noChangesOf(shown));
  }
  return table;
}

/** `*` and `!` mean something in the tables of `extractDatabase`. */
const adviceOnPatterns = (...names: readonly string[]): { advice?: string } =>
  names.some((name) => name.startsWith('!') || name.includes('*'))
    ? { advice: 'A capture takes names of tables and "schema.*", but no other patterns and no "!".' }
    : {};

/**
 * Returns tables that inherit from ordinary ones, on all levels, and are not among them. Their rows are read with
 * their parents' unless ONLY is given; their changes come under their own names.
 */
export async function findHeirs(session: Session, tables: readonly Candidate[]): Promise<TableName[]> {
  return session.query<TableName & Record<string, unknown>>(
    `WITH RECURSIVE tree AS (
       SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid = ANY ($1::oid[]) AND c.relkind = 'r'
       UNION
       SELECT i.inhrelid FROM tree t JOIN pg_catalog.pg_inherits i ON i.inhparent = t.oid
     )
     SELECT n.nspname AS schema, c.relname AS name
       FROM tree t JOIN pg_catalog.pg_class c ON c.oid = t.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE c.oid <> ALL ($1::oid[]) ORDER BY n.nspname, c.relname`,
    [tables.map(({ oid }) => oid)],
  );
}

/** A table as a publication sends it: under its own name or that of its root. */
export interface PublishedTable extends TableName {
  readonly oid: number;
  /** In table order, with generated columns only if they are sent. */
  readonly columns: readonly string[];
  /** The row filter, as SQL. */
  readonly where: string | null;
  /** True if the publication names it, and does not send it only as one of all tables, or of a schema. */
  readonly isNamed: boolean;
  /** Changes if the table is removed and added again, or if the publication is altered or recreated. */
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
  return (await findPublication(session, publication, oid))?.tables[0];
}

/**
 * @param only the OID of the one table to describe
 * @returns undefined if there is no publication of that name
 */
export async function findPublication(
  session: Session,
  name: string,
  only?: number,
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
  const { version } = await session.one<{ version: number }>(
    `SELECT current_setting('server_version_num')::int AS version`,
  );
  // column lists and row filters came with 15, generated columns with 18
  const attributes = version >= 15_00_00 ? 'p.attnames' : 'NULL::name[]';
  const filter = version >= 15_00_00 ? 'p.rowfilter' : 'NULL::text';
  const bySchema = version >= 15_00_00 ? '(SELECT s.oid FROM pg_catalog.pg_publication_namespace s WHERE s.pnpubid = b.oid AND s.pnnspid = n.oid)' : 'NULL'; // prettier-ignore
  const generated = version >= 18_00_00 ? 'true' : `a.attgenerated = ''`;
  const tables = await session.query<PublishedTable & Record<string, unknown>>(
    `SELECT c.oid, p.schemaname AS schema, p.tablename AS name, ${filter} AS "where",
            EXISTS (SELECT FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = b.oid AND r.prrelid = c.oid) AS "isNamed",
            concat_ws('/', b.oid, b.xmin, coalesce(
              (SELECT r.oid FROM pg_catalog.pg_publication_rel r WHERE r.prpubid = b.oid AND r.prrelid = c.oid), ${bySchema})) AS membership,
            ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND ${generated}
                     AND (${attributes} IS NULL OR a.attname = ANY (${attributes})) ORDER BY a.attnum) AS columns
       FROM pg_catalog.pg_publication_tables p
       JOIN pg_catalog.pg_publication b ON b.pubname = p.pubname
       JOIN pg_catalog.pg_namespace n ON n.nspname = p.schemaname
       JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = p.tablename
      WHERE p.pubname = $1 AND ($2::oid IS NULL OR c.oid = $2) ORDER BY p.schemaname, p.tablename`,
    [name, only ?? null],
  );
  return { tables, ...row };
}

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

/** Why a role does not run what changes the source, by SQLSTATE. */
const refusals: Readonly<Record<string, string>> = {
  '42501': 'The role lacks a privilege that the capture needs',
  '25006':
    'The role changes nothing while its default_transaction_read_only is on, which the capture needs it to',
};

/** Runs a statement that changes the source; if the role does not, the error says what must be run. */
export async function orStatementFor<T>(statement: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const refusal = refusals[sqlStateOf(error) ?? ''];
    if (refusal === undefined) throw error;
    const shown = statement.length > 2000 ? `${statement.slice(0, 2000)}...` : statement;
    throw missingPrivilege(refusal, shown, { cause: error });
  }
}

/** @returns true if there was one */
export async function dropPublication(session: Session, name: string): Promise<boolean> {
  const found = await session.query('SELECT FROM pg_catalog.pg_publication WHERE pubname = $1', [name]);
  if (found.length === 0) return false;
  await session.query(`DROP PUBLICATION IF EXISTS ${quoteName(name)}`);
  return true;
}
