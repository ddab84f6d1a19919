import type { TableName } from '../../contract/table-name.ts';
import type { Session } from '../../postgres/session.ts';
import { PARTITION_KEY, type ColumnDefinition, type Storage } from './bronze-table.ts';
import { hasCheckpoint } from '../bookkeeping/checkpoints.ts';
import { mirrorOf } from '../cdc/tables.ts';
import { BRONZE, metadataColumns, STORAGE } from '../layout.ts';
import type { ExtractionPlan } from '../plan.ts';
import type { Feed } from '../bookkeeping/targets.ts';

/** A bronze table whose rows can be exchanged with few statements: nothing has to be rebuilt for new ones. */
export interface PlainTable extends Feed {
  readonly target: string;
  /** The partition that has the rows. */
  readonly storage: Pick<Storage, keyof TableName | 'oid'>;
  readonly columns: readonly ColumnDefinition[];
  /** The plan that loaded the rows it shows. A bigint, as text. */
  readonly loadedBy: string;
  /** The place of those rows among plan numbers. A bigint, as text. */
  readonly loadedOrder: string;
  /** The database that the last run read. */
  readonly sourceUri: string | null;
}

/**
 * Finds bronze tables, by target, without any index, constraint, NOT NULL or replica identity, and which neither a capture
 * nor incremental runs keep.
 */
export async function findPlainTables(
  session: Session,
  targets: readonly string[],
): Promise<ReadonlyMap<string, PlainTable>> {
  const rows = await session.query<{
    target: string;
    source: string;
    table: TableName;
    storage: PlainTable['storage'];
    columns: ColumnDefinition[];
    loadedBy: string;
    loadedOrder: string;
    sourceUri: string | null;
  }>(
    // looked up by a list of OIDs: another kind of join would scan the whole catalog
    `WITH named AS MATERIALIZED (
       SELECT target, to_regclass(format('%I.%I', $2::text, target))::oid AS oid FROM unnest($1::text[]) AS target
     )
     SELECT t.target, t.source, t.loaded_by_plan::text AS "loadedBy",
            coalesce(t.loaded_order, t.loaded_by_plan)::text AS "loadedOrder",
            (SELECT r.source_uri FROM ${BRONZE}.extraction_runs r WHERE r.run_id = t.run_id) AS "sourceUri",
            jsonb_build_object('schema', t.source_schema, 'name', t.source_table) AS table,
            jsonb_build_object('schema', sn.nspname, 'name', s.relname, 'oid', s.oid::bigint) AS storage,
            (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod)))
               FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
       FROM named
       JOIN ${BRONZE}.extraction_targets t ON t.target = named.target
       JOIN pg_catalog.pg_class c ON c.oid = named.oid AND c.oid = ANY (ARRAY(SELECT oid FROM named))
        AND pg_get_partkeydef(c.oid) = $3
       JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = c.oid
       JOIN pg_catalog.pg_class s ON s.oid = p.partdefid
       JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace AND sn.nspname = $4
      WHERE ${mirrorOf('t.target')} IS NULL AND NOT ${hasCheckpoint('t.target')} AND NOT (s.relhasindex OR c.relhasindex) AND s.relreplident = 'd'
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint o WHERE o.conrelid IN (s.oid, c.oid))
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a
                         WHERE a.attrelid IN (s.oid, c.oid) AND a.attnum > 0
                           AND (a.attnotnull OR a.attcollation <> 0 AND a.attcollation <>
                                (SELECT y.typcollation FROM pg_catalog.pg_type y WHERE y.oid = a.atttypid)))`,
    [targets, BRONZE, PARTITION_KEY, STORAGE],
  );
  return new Map(rows.map((row) => [row.target, row]));
}

/** Returns those of the targets that bronze neither has nor had, whose tables only need to be created. */
export async function findNewTargets(
  session: Session,
  targets: readonly string[],
): Promise<ReadonlySet<string>> {
  if (targets.length === 0) return new Set();
  const rows = await session.query<{ target: string }>(
    `SELECT named.target FROM unnest($1::text[]) AS named(target)
      WHERE to_regclass(format('%I.%I', $2::text, named.target)) IS NULL
        AND NOT EXISTS (SELECT FROM ${BRONZE}.extraction_targets t WHERE t.target = named.target)`,
    [targets, BRONZE],
  );
  return new Set(rows.map(({ target }) => target));
}

/** Returns the targets that are still as they were found. Call it under locks that keep them so. */
export async function findUnchanged(
  session: Session,
  tables: readonly PlainTable[],
): Promise<ReadonlySet<string>> {
  const rows = await session.query<{ target: string }>(
    `SELECT t.target
       FROM unnest($1::text[], $2::bigint[], $3::oid[]) AS found(target, loaded_by, storage)
       JOIN ${BRONZE}.extraction_targets t ON t.target = found.target AND t.loaded_by_plan = found.loaded_by
       JOIN pg_catalog.pg_partitioned_table p ON p.partdefid = found.storage
       JOIN pg_catalog.pg_class s ON s.oid = p.partdefid AND NOT s.relhasindex`,
    [
      tables.map(({ target }) => target),
      tables.map(({ loadedBy }) => loadedBy),
      tables.map(({ storage }) => storage.oid),
    ],
  );
  return new Set(rows.map(({ target }) => target));
}

/**
 * Returns true if a run with this plan only exchanges rows: no column is added, dropped or changed.
 *
 * @param before what it writes; undefined if that is new to bronze
 */
export function isPlainExchange(plan: ExtractionPlan, before: PlainTable | undefined): boolean {
  const { incremental, partitioned, replacement, largeObjects, hash } = plan;
  const special = [incremental, partitioned, replacement, largeObjects, hash];
  if (special.some((one) => one !== undefined)) return false;
  if (plan.columns.some(({ generated }) => generated !== undefined)) return false;
  return before === undefined || (isSameFeed(plan, before) && hasSameColumns(plan, before));
}

const isSameFeed = (plan: ExtractionPlan, { source, sourceUri, table }: PlainTable): boolean =>
  sourceUri === plan.sourceUri &&
  source === plan.source &&
  table.schema === plan.table.schema &&
  table.name === plan.table.name;

function hasSameColumns(plan: ExtractionPlan, { table, columns }: PlainTable): boolean {
  const metadata = metadataColumns({ loadedAt: '', sourceUri: '', table, runId: '' });
  const present = new Map(columns.map(({ name, type }) => [name, type]));
  const wanted = [...plan.columns, ...metadata];
  return wanted.length === present.size && wanted.every(({ name, type }) => present.get(name) === type);
}
