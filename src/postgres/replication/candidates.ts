import { DatakitError } from '../../contract/failures.ts';
import { listed } from '../../contract/listed.ts';
import { suggestion } from '../../contract/parse-input.ts';
import type { SchemaOrTable } from '../../contract/schema-or-table.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import { noSuchTable } from '../catalog/no-such-table.ts';
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

/** `pg_class.relkind` of ordinary and of partitioned tables. */
const KINDS = ['r', 'p'];

/**
 * Returns the ordinary and partitioned tables that are asked for. A partition is one of them only if it is named itself,
 * since its changes come under the name of its root.
 *
 * @throws {DatakitError} UndefinedObject, UnsupportedTable
 */
export async function findCandidates(
  session: Session,
  wanted: readonly SchemaOrTable[],
): Promise<Candidate[]> {
  const found = new Map<number, Found>();
  for (const one of wanted) {
    const tables = one.all === true ? await ofSchema(session, one.schema) : [await named(session, one)];
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
  if (table === undefined) {
    throw await noSuchTable(session, name, KINDS, adviceOnPatterns(name.schema, name.name));
  }
  if (!KINDS.includes(table.kind) || table.persistence !== 'p') {
    throw new DatakitError('UnsupportedTable', noChangesOf(formatTableName(name)));
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
