import { DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Writer } from '../../postgres/batch.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE, STORAGE } from '../layout.ts';
import { orSchemaConflict } from './schema-conflict.ts';

/**
 * A partitioned table whose default partition has the rows. Other partitions are not ours, and stay as they are.
 *
 * What people attach to it (views, grants, comments, indexes) belongs to the parent and stays when a commit
 * exchanges the partition: see docs/adr/0002-replace-by-partition-exchange.md.
 */
export interface BronzeTable extends TableName {
  readonly oid: number;
  /** The default partition, which has the rows, if there is one. */
  readonly storage: Storage | undefined;
  /** True if people attached partitions of their own. */
  readonly hasOthers: boolean;
}

export interface Storage extends TableName {
  readonly oid: number;
  /** What identifies its rows to subscribers of a publication. */
  readonly identity: 'default' | 'FULL' | 'NOTHING' | { readonly index: number };
}

export interface ColumnDefinition {
  readonly name: string;
  readonly type: string;
  /** `COLLATE …`; empty for that of the type. */
  readonly collation?: string;
  /** `GENERATED …` or `DEFAULT …`: what fills it in rows that have no value for it. */
  readonly filling?: string;
}

/** As the server writes it. Tables that people partition have another, and partitions that are not ours to drop. */
export const PARTITION_KEY = 'LIST (_bronze_run_id)';

/** SQL for the default partition of the table `c`, as {@link Storage}; NULL if it has none. */
export const DEFAULT_PARTITION = `(SELECT jsonb_build_object('schema', dn.nspname, 'name', d.relname, 'oid', d.oid::bigint, 'identity',
            CASE d.relreplident
              WHEN 'f' THEN to_jsonb('FULL'::text) WHEN 'n' THEN to_jsonb('NOTHING'::text)
              ELSE coalesce((SELECT jsonb_build_object('index', i.indexrelid::bigint) FROM pg_catalog.pg_index i
                              WHERE i.indrelid = d.oid AND i.indisreplident), to_jsonb('default'::text)) END)
     FROM pg_catalog.pg_partitioned_table p
     JOIN pg_catalog.pg_class d ON d.oid = p.partdefid
     JOIN pg_catalog.pg_namespace dn ON dn.oid = d.relnamespace
    WHERE p.partrelid = c.oid)`;

/** @throws {DatakitError} TargetConflict if its default partition is not ours */
export async function findBronzeTable(session: Session, target: string): Promise<BronzeTable | undefined> {
  const [row] = await session.query<{ oid: number; storage: Storage | null; hasOthers: boolean }>(
    `SELECT c.oid, ${DEFAULT_PARTITION} AS storage,
            EXISTS (SELECT FROM pg_catalog.pg_inherits i
                      JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = i.inhparent
                     WHERE i.inhparent = c.oid AND i.inhrelid <> p.partdefid) AS "hasOthers"
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND pg_get_partkeydef(c.oid) = $3`,
    [BRONZE, target, PARTITION_KEY],
  );
  if (row === undefined) return undefined;
  const { storage, ...table } = row;
  requireOwnStorage(target, storage);
  return { schema: BRONZE, name: target, ...table, storage: storage ?? undefined };
}

/**
 * Finds a bronze table that must have rows of ours.
 *
 * @throws {DatakitError} PlanOutdated if it was dropped, or its rows were
 */
export async function requireLoaded(
  session: Session,
  target: string,
): Promise<BronzeTable & { readonly storage: Storage }> {
  const bronze = await findBronzeTable(session, target);
  if (bronze?.storage !== undefined) return { ...bronze, storage: bronze.storage };
  throw new DatakitError('PlanOutdated', `${BRONZE}.${target} was dropped or emptied during the run`);
}

/**
 * Refuses a default partition that people moved out of our schema, or put in the place of ours: it would be dropped.
 *
 * @throws {DatakitError} TargetConflict
 */
export function requireOwnStorage(target: string, storage: TableName | null): void {
  if (storage === null || storage.schema === STORAGE) return;
  throw new DatakitError(
    'TargetConflict',
    `The default partition of ${BRONZE}.${target} is ${formatTableName(storage)}, which is not in ${STORAGE} and so not ours to replace: detach it, or attach it with bounds`,
  );
}

/** Creates the parent with the columns of the staging table. Its partition key exists only because one must. */
export async function createBronzeTable(writer: Writer, target: string, staging: TableName): Promise<void> {
  const parent = quoteTable({ schema: BRONZE, name: target });
  await writer.query(`CREATE TABLE ${parent} (LIKE ${quoteTable(staging)}) PARTITION BY ${PARTITION_KEY}`);
}

export async function readColumnDefinitions(session: Session, table: TableName): Promise<ColumnDefinition[]> {
  return session.query<ColumnDefinition & Record<string, unknown>>(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type,
            coalesce((SELECT format('COLLATE %I.%I', ln.nspname, l.collname) FROM pg_catalog.pg_collation l
                        JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace
                       WHERE l.oid = a.attcollation AND a.attcollation <> t.typcollation), '') AS collation,
            CASE WHEN d.oid IS NULL THEN ''
                 WHEN a.attgenerated = '' THEN 'DEFAULT ' || pg_get_expr(d.adbin, d.adrelid)
                 ELSE format('GENERATED ALWAYS AS (%s) %s', pg_get_expr(d.adbin, d.adrelid),
                             CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END) END AS filling
       FROM pg_catalog.pg_attribute a
       JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
       JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
      WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped
      ORDER BY a.attnum`,
    [table.schema, table.name],
  );
}

/**
 * @param bronze the table that the columns are for, if they are added to its new rows first
 * @throws {DatakitError} SchemaConflict if the table has no room for them, or something of their names
 */
export async function addColumns(
  session: Session,
  table: TableName,
  columns: readonly ColumnDefinition[],
  bronze = table,
): Promise<void> {
  if (columns.length === 0) return;
  const clauses = columns.map((column) => `ADD COLUMN ${quoteName(column.name)} ${definitionOf(column)}`);
  await alterColumns(session, table, clauses, bronze);
}

/**
 * Gives the new rows what only the bronze table has: the columns that the source has lost or that people added, with
 * what fills them, and the collations that people set.
 *
 * @throws {DatakitError} SchemaConflict
 */
export async function adoptColumns(
  session: Session,
  bronze: TableName,
  staging: TableName,
  wanted: readonly ColumnDefinition[],
  present: readonly ColumnDefinition[],
): Promise<void> {
  await addColumns(session, staging, missingColumns(wanted, present), bronze);
  const collations = new Map(wanted.map(({ name, type, collation = '' }) => [`${name} ${type}`, collation]));
  const clauses = present.flatMap(({ name, type, collation = '' }) => {
    const other = collations.get(`${name} ${type}`) ?? collation;
    return other === collation ? [] : [`ALTER COLUMN ${quoteName(name)} TYPE ${type} ${other}`];
  });
  if (clauses.length > 0) await alterColumns(session, staging, clauses, bronze);
}

async function alterColumns(
  session: Session,
  table: TableName,
  clauses: readonly string[],
  bronze: TableName,
): Promise<void> {
  await orSchemaConflict(
    `${formatTableName(bronze)} keeps columns that the source has lost or that people added, and cannot have the new ones beside them`,
    async () => session.query(`ALTER TABLE ${quoteTable(table)} ${clauses.join(', ')}`),
  );
}

const definitionOf = ({ type, collation = '', filling = '' }: ColumnDefinition): string =>
  `${type} ${collation} ${filling}`;

/** Returns the columns of `wanted` that `present` lacks. */
export function missingColumns(
  wanted: readonly ColumnDefinition[],
  present: readonly ColumnDefinition[],
): ColumnDefinition[] {
  const names = new Set(present.map(({ name }) => name));
  return wanted.filter(({ name }) => !names.has(name));
}
