import { DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import type { Session } from '../../postgres/session.ts';
import { DEFAULT_PARTITION, PARTITION_KEY, requireOwnStorage } from '../schema/bronze-table.ts';
import { mirrorOf } from '../cdc/tables.ts';
import { hasCheckpoint } from './checkpoints.ts';
import { BRONZE } from '../layout.ts';

export interface Feed {
  /** The name of the source. */
  readonly source: string;
  readonly table: TableName;
}

/** What a bronze table has from before. */
export interface Standing {
  /** The database that the last run of it read; null if that is not known. */
  readonly sourceUri: string | null;
  /** The names of the columns that the last run read; null if they are not known. */
  readonly columns: readonly string[] | null;
  /** True if incremental runs keep its rows. */
  readonly hasCheckpoint: boolean;
}

/** The relation of a name in the schema bronze, and who feeds it. */
type Relation = TableName & {
  /** Its partition key; null if it is not partitioned. */
  readonly key: string | null;
  /** Its default partition; null if it has none. */
  readonly storage: TableName | null;
  /** Null if this project did not make it; then schema and name of the table are null too. */
  readonly source: string | null;
  /** The slot of the capture that maintains it. */
  readonly slot: string | null;
};

/**
 * Makes sure that a bronze table may be written from this source table.
 *
 * @returns what it has from before; undefined if there is no such table
 * @throws {DatakitError} TargetConflict if another table feeds it, a capture maintains it, or this project did not
 *   make it or the partition with its rows
 */
export async function requireTarget(
  session: Session,
  target: string,
  feed: Feed,
): Promise<Standing | undefined> {
  const [found] = await session.query<Standing & Relation>(
    `SELECT pg_get_partkeydef(c.oid) AS key, ${DEFAULT_PARTITION} AS storage,
            t.source, t.source_schema AS schema, t.source_table AS name, ${mirrorOf('$2')} AS slot,
            r.source_uri AS "sourceUri", ${hasCheckpoint('$2')} AS "hasCheckpoint",
            pg_catalog.jsonb_path_query_array(r.columns, '$[*].name') AS columns
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
       LEFT JOIN ${BRONZE}.extraction_targets t ON t.target = c.relname
       LEFT JOIN ${BRONZE}.extraction_runs r ON r.run_id = t.run_id
      WHERE n.nspname = $1 AND c.relname = $2`,
    [BRONZE, target],
  );
  if (found === undefined) return undefined;
  const { key, storage, slot, source: fedBy, schema, name, ...standing } = found;
  if (fedBy === null || key !== PARTITION_KEY) {
    throw new DatakitError(
      'TargetConflict',
      `${BRONZE}.${target} exists and was not made by datakit-postgres`,
    );
  }
  requireOwnStorage(target, storage);
  if (slot !== null) throw keptByCapture(target, slot);
  const { source, table } = feed;
  if (fedBy === source && schema === table.schema && name === table.name) return standing;
  const other = formatTableName({ schema, name });
  throw new DatakitError(
    'TargetConflict',
    `${BRONZE}.${target} is fed by ${other} of source "${fedBy}", not by ${formatTableName(table)} of source "${source}"`,
  );
}

/** Returns the failure of whoever else would write a table that a capture maintains. */
export const keptByCapture = (target: string, slot: string): DatakitError =>
  new DatakitError(
    'TargetConflict',
    `${BRONZE}.${target} is kept up to date by the capture of slot "${slot}", which must be the only one to write it`,
    { advice: `Choose another "target", or end the capture and run dropCapture for "${slot}".` },
  );

/** What a bronze table shows, and who maintains it. */
export interface Shown {
  /** The run that loaded its rows last. */
  readonly runId: string;
  /** The slot of the capture that maintains it; null if none does. */
  readonly slot: string | null;
}

/** @returns undefined if no run has loaded the table yet */
export async function findShown(session: Session, target: string): Promise<Shown | undefined> {
  const [shown] = await session.query<Shown & Record<string, unknown>>(
    `SELECT t.run_id AS "runId", ${mirrorOf('t.target')} AS slot FROM ${BRONZE}.extraction_targets t WHERE t.target = $1`,
    [target],
  );
  return shown;
}

/** Makes runs that write the same bronze table commit one after the other. Held until the end of the transaction. */
export async function lockTarget(session: Session, target: string): Promise<void> {
  await session.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [`${BRONZE}.${target}`]);
}

/** Locks the targets that nobody else writes, like {@link lockTarget} but without waiting, and returns them. */
export async function lockFreeTargets(
  session: Session,
  targets: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await session.query<{ target: string }>(
    `SELECT target FROM unnest($1::text[]) AS target
      WHERE pg_try_advisory_xact_lock(hashtextextended($2 || '.' || target, 0))`,
    [targets, BRONZE],
  );
  return new Set(rows.map(({ target }) => target));
}

/**
 * Returns true if the table shows rows of a later moment, judged by plan numbers.
 *
 * @param order the plan's number, or the one that represents its snapshot
 */
export async function isSuperseded(session: Session, target: string, order: string): Promise<boolean> {
  const found = await session.query(
    `SELECT FROM ${BRONZE}.extraction_targets WHERE target = $1 AND coalesce(loaded_order, loaded_by_plan) > $2`,
    [target, order],
  );
  return found.length > 0;
}

/** The rows that a table shows, identified by what loaded them. */
export interface Base {
  /** The latest plan; null if it shows none of ours. A bigint, as text. */
  readonly base: string | null;
  /** The latest run, which may be that of an earlier plan; absent from plans of earlier versions. */
  readonly baseRun?: string | null;
}

export async function findBase(session: Session, target: string): Promise<Base> {
  const [row] = await session.query<{ base: string | null; baseRun: string | null }>(
    `SELECT loaded_by_plan AS base, run_id AS "baseRun" FROM ${BRONZE}.extraction_targets WHERE target = $1`,
    [target],
  );
  return row ?? { base: null, baseRun: null };
}

export const isSameBase = (one: Base, other: Base): boolean =>
  one.base === other.base &&
  (one.baseRun === undefined || other.baseRun === undefined || one.baseRun === other.baseRun);

/**
 * Returns the current time, but always later than the last load, since it orders the versions of a row. It is noted at
 * once, so that {@link recordLoads} does not record an earlier one: the clock of a server that takes over may be behind.
 */
export async function nextLoadedAt(session: Session, target: string): Promise<string> {
  const { at } = await session.one<{ at: string }>(
    `UPDATE ${BRONZE}.extraction_targets
        SET loaded_at = greatest(clock_timestamp(), loaded_at + interval '1 microsecond')
      WHERE target = $1 RETURNING loaded_at::text AS at`,
    [target],
  );
  return at;
}

/** Deletes the ledgers of loads being replaced, which would only pile up. Call it before {@link recordLoads}. */
export async function forgetEarlierLedger(
  session: Session,
  loads: readonly Pick<Load, 'target' | 'planId'>[],
): Promise<void> {
  await session.query(
    `DELETE FROM ${BRONZE}.extraction_chunks
      WHERE plan_id = ANY (ARRAY(SELECT loaded_by_plan FROM ${BRONZE}.extraction_targets WHERE target = ANY ($1)))
        AND plan_id <> ALL ($2)`,
    [loads.map(({ target }) => target), loads.map(({ planId }) => planId)],
  );
}

export interface Load extends Feed {
  readonly target: string;
  readonly planId: string;
  readonly order?: string;
  readonly runId: string;
}

/** Records the loads whose rows the tables show now, never as earlier than these rows or than those before. */
export async function recordLoads(session: Session, loads: readonly Load[]): Promise<void> {
  const entries = loads.map(({ target, source, table, planId, order, runId }) => ({
    target,
    source,
    source_schema: table.schema,
    source_table: table.name,
    loaded_by_plan: planId,
    run_id: runId,
    loaded_order: order ?? planId,
  }));
  await session.query(
    `INSERT INTO ${BRONZE}.extraction_targets
       (target, source, source_schema, source_table, loaded_by_plan, run_id, loaded_at, loaded_order)
     SELECT target, source, source_schema, source_table, loaded_by_plan, run_id,
            greatest(clock_timestamp(), (SELECT prepared_at FROM ${BRONZE}.extraction_plans WHERE plan_id = loaded_by_plan)),
            loaded_order
       FROM jsonb_populate_recordset(NULL::${BRONZE}.extraction_targets, $1)
     ON CONFLICT (target) DO UPDATE SET
       source = excluded.source, source_schema = excluded.source_schema, source_table = excluded.source_table,
       loaded_by_plan = greatest(extraction_targets.loaded_by_plan, excluded.loaded_by_plan),
       run_id = excluded.run_id, loaded_at = greatest(extraction_targets.loaded_at, excluded.loaded_at),
       loaded_order = greatest(extraction_targets.loaded_order, excluded.loaded_order)`,
    [JSON.stringify(entries)],
  );
}
