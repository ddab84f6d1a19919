import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE } from '../layout.ts';

/**
 * A partitioned table with one partition, the default one, which has the rows.
 *
 * What people attach to it (views, grants, comments, indexes) belongs to the parent and stays when a commit
 * exchanges the partition: see docs/adr/0002-replace-by-partition-exchange.md.
 */
export interface BronzeTable extends TableName {
  readonly oid: number;
  /** The partition that has the rows, if one is attached. */
  readonly storage: (TableName & { readonly oid: number }) | undefined;
}

export interface ColumnDefinition {
  readonly name: string;
  readonly type: string;
}

/** As the server writes it. Tables that people partition have another, and partitions that are not ours to drop. */
export const PARTITION_KEY = 'LIST (_bronze_run_id)';

export async function findBronzeTable(session: Session, target: string): Promise<BronzeTable | undefined> {
  const [row] = await session.query<{
    oid: number;
    storage_oid: number | null;
    storage_schema: string;
    storage_name: string;
  }>(
    `SELECT c.oid, s.oid AS storage_oid, sn.nspname AS storage_schema, s.relname AS storage_name
       FROM pg_catalog.pg_class c
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN pg_catalog.pg_inherits i ON i.inhparent = c.oid
       LEFT JOIN pg_catalog.pg_class s ON s.oid = i.inhrelid
       LEFT JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND pg_get_partkeydef(c.oid) = $3`,
    [BRONZE, target, PARTITION_KEY],
  );
  if (row === undefined) return undefined;
  const storage =
    row.storage_oid === null
      ? undefined
      : { oid: row.storage_oid, schema: row.storage_schema, name: row.storage_name };
  return { schema: BRONZE, name: target, oid: row.oid, storage };
}

/** Creates the parent with the columns of the staging table. Its partition key exists only because one must. */
export async function createBronzeTable(session: Session, target: string, staging: TableName): Promise<void> {
  const parent = quoteTable({ schema: BRONZE, name: target });
  await session.query(`CREATE TABLE ${parent} (LIKE ${quoteTable(staging)}) PARTITION BY ${PARTITION_KEY}`);
}

export async function readColumnDefinitions(session: Session, table: TableName): Promise<ColumnDefinition[]> {
  return session.query<ColumnDefinition & Record<string, unknown>>(
    `SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
       FROM pg_catalog.pg_attribute a
       JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
       JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped
      ORDER BY a.attnum`,
    [table.schema, table.name],
  );
}

export async function addColumns(
  session: Session,
  table: TableName,
  columns: readonly ColumnDefinition[],
): Promise<void> {
  if (columns.length === 0) return;
  const clauses = columns.map(({ name, type }) => `ADD COLUMN ${quoteName(name)} ${type}`);
  await session.query(`ALTER TABLE ${quoteTable(table)} ${clauses.join(', ')}`);
}

/** Returns the columns of `wanted` that `present` lacks. */
export function missingColumns(
  wanted: readonly ColumnDefinition[],
  present: readonly ColumnDefinition[],
): ColumnDefinition[] {
  const names = new Set(present.map(({ name }) => name));
  return wanted.filter(({ name }) => !names.has(name));
}
