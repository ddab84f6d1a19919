import { DatakitError } from '../../contract/failures.ts';
import type { TableName } from '../../contract/table-name.ts';
import { endSessions } from '../../postgres/end-sessions.ts';
import { quoteName, quoteTable, quoteText } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE, STAGING } from '../layout.ts';
import { companionStaging, createCompanion } from '../schema/companion.ts';
import type { ExtractionPlan, PlannedColumn } from '../plan.ts';
import { isApplication } from '../../postgres/application-name.ts';

/** A plan as the warehouse keeps it. */
export interface StoredPlan {
  readonly planId: string;
  readonly runId: string;
  readonly staging: TableName;
  readonly plan: ExtractionPlan;
  readonly prepared: boolean;
  /** Facts found in the staging table of an incremental run when it was prepared. */
  readonly staged: StagedFacts | undefined;
  /** Set if the staging table was created in this transaction, so that nobody else can be using it. */
  readonly unseen?: true;
}

export interface StagedFacts {
  /** The next checkpoint. */
  readonly checkpoint: string | null;
  readonly nullCursors: number;
  /** Set if the rows may lack what the plan had seen, so that the checkpoint stays where it is. */
  readonly lags?: true;
}

/** Returns the table beside a staging table that takes the keys of all source rows, to detect deleted ones. */
export const stagingKeys = ({ schema, name }: TableName): TableName => ({ schema, name: `${name}_keys` });

/** Stores a plan and creates its staging table, without indexes and with autovacuum off while it is loaded. */
export async function storePlan(session: Session, runId: string, plan: ExtractionPlan): Promise<StoredPlan> {
  const planId = await takeOrder(session);
  const staging: TableName = { schema: STAGING, name: `plan_${planId}` };
  await session.query(
    `INSERT INTO ${BRONZE}.extraction_plans (plan_id, run_id, staging_table, plan)
     OVERRIDING SYSTEM VALUE VALUES ($1, $2, $3, $4)`,
    [planId, runId, staging.name, JSON.stringify(plan)],
  );
  const columns = plan.columns.map(definitionOf).join(', ');
  await session.query(`CREATE TABLE ${quoteTable(staging)} (${columns}) WITH (autovacuum_enabled = false)`);
  if (plan.largeObjects !== undefined) await createCompanion(session, staging);
  if ((plan.incremental?.keyChunks ?? 0) > 0) await createKeys(session, staging, plan);
  return { planId, runId, staging, plan, prepared: false, staged: undefined, unseen: true };
}

/** SQL for {@link takeOrder}. */
export const NEXT_ORDER = `nextval(pg_get_serial_sequence('${BRONZE}.extraction_plans', 'plan_id'))`;

/** Takes a plan number: for a plan, or to represent a snapshot about to be taken. A bigint, as text. */
export async function takeOrder(session: Session): Promise<string> {
  const { number } = await session.one<{ number: string }>(`SELECT ${NEXT_ORDER} AS number`);
  return number;
}

async function createKeys(
  session: Session,
  staging: TableName,
  { columns, incremental }: ExtractionPlan,
): Promise<void> {
  const keys = columns.filter(({ name }) => incremental?.key.includes(name)).map(definitionOf);
  await session.query(
    `CREATE TABLE ${quoteTable(stagingKeys(staging))} (${keys.join(', ')}) WITH (autovacuum_enabled = false)`,
  );
}

/** Defines a column of a table that is loaded. */
export function definitionOf({ name, type, generated, namesPartition }: PlannedColumn): string {
  const column = `${quoteName(name)} ${type}`;
  // computed once for a COPY, as only what is immutable is
  if (namesPartition === true) return `${column} DEFAULT ${BRONZE}.partition_of_copy()`;
  return generated === undefined ? column : `${column} GENERATED ALWAYS AS (${generated}) STORED`;
}

/**
 * @param runId whose plan it is: a warehouse that was restored from a backup, or whose standby took over before it had
 *   everything, gives the numbers of plans that it lost to other runs
 * @throws {DatakitError} StagingLost if the plan or its staging table is gone
 */
export async function readPlan(session: Session, planId: string, runId?: string): Promise<StoredPlan> {
  const [row] = await session.query<{
    run_id: string;
    staging_table: string;
    plan: ExtractionPlan;
    prepared: boolean;
    staged: StagedFacts | null;
  }>(
    `SELECT run_id, staging_table, plan, prepared_at IS NOT NULL AS prepared, staged
       FROM ${BRONZE}.extraction_plans p WHERE plan_id = $1 AND run_id = coalesce($2, run_id) AND ${HAS_STAGING}`,
    [planId, runId ?? null],
  );
  if (row === undefined) throw stagingLost(planId);
  const staging = { schema: STAGING, name: row.staging_table };
  return {
    planId,
    runId: row.run_id,
    staging,
    plan: row.plan,
    prepared: row.prepared,
    staged: row.staged ?? undefined,
  };
}

/** SQL for whether the plan `p` has its staging table: somebody may have dropped it. */
export const HAS_STAGING = `to_regclass('${STAGING}.' || p.staging_table) IS NOT NULL`;

export const stagingLost = (planId: string): DatakitError =>
  new DatakitError('StagingLost', `The staging table of plan ${planId} is gone`);

/** Records when a staging table was ready for the commit, with all of its rows. */
export async function recordPrepared(session: Session, planId: string): Promise<void> {
  await session.query(
    `UPDATE ${BRONZE}.extraction_plans SET prepared_at = clock_timestamp() WHERE plan_id = $1`,
    [planId],
  );
}

export async function pausePlan(session: Session, planId: string, paused: boolean): Promise<void> {
  await session.query(`UPDATE ${BRONZE}.extraction_plans SET paused = $2 WHERE plan_id = $1`, [
    planId,
    paused,
  ]);
}

/** Drops every staging table of a run, with its plan and its ledger. */
export async function dropPlansOfRun(session: Session, runId: string): Promise<void> {
  const plans = await session.query<{ plan_id: string; staging_table: string }>(
    `SELECT plan_id, staging_table FROM ${BRONZE}.extraction_plans WHERE run_id = $1 FOR UPDATE`,
    [runId],
  );
  for (const { plan_id: planId, staging_table: name } of plans) {
    await dropPlan(session, { planId, staging: { schema: STAGING, name } });
  }
}

/** Drops a staging table with its plan and its ledger. */
export async function dropPlan(
  session: Session,
  { planId, staging }: Pick<StoredPlan, 'planId' | 'staging'>,
): Promise<void> {
  await endStrayWriters(session, staging);
  await endStrayWriters(session, stagingKeys(staging));
  await dropStaging(session, { staging });
  await session.query(`DELETE FROM ${BRONZE}.extraction_chunks WHERE plan_id = $1`, [planId]);
  await forgetPlan(session, planId);
}

export async function dropStaging(session: Session, { staging }: Pick<StoredPlan, 'staging'>): Promise<void> {
  await session.query(`DROP TABLE IF EXISTS ${stagingTables(staging).map(quoteTable).join(', ')}`);
}

/** Returns the tables that a plan may have: its staging table, and those of large objects and of keys. */
export const stagingTables = (staging: TableName): TableName[] => [
  staging,
  companionStaging(staging),
  stagingKeys(staging),
];

/** Deletes a plan and the claims on it, but not its ledger: that stays while bronze shows the rows. */
export async function forgetPlan(session: Session, planId: string): Promise<void> {
  // in this order: a concurrent claim is waited for, or finds the plan gone
  await session.query(`DELETE FROM ${BRONZE}.extraction_plans WHERE plan_id = $1`, [planId]);
  await session.query(`DELETE FROM ${BRONZE}.extraction_attempts WHERE plan_id = $1`, [planId]);
}

/**
 * Ends sessions of workers that still write to a staging table that is complete or to be dropped: abandoned
 * attempts on hung workers, which would otherwise be waited for. Sessions of others (a dump, somebody looking) are
 * not ours to end.
 */
export async function endStrayWriters(session: Session, staging: TableName): Promise<void> {
  await endSessions(
    session,
    `${isApplication('a')} AND EXISTS (
       SELECT FROM pg_catalog.pg_locks l
         JOIN pg_catalog.pg_class c ON c.oid = l.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
        WHERE l.pid = a.pid AND n.nspname = ${quoteText(staging.schema)} AND c.relname = ${quoteText(staging.name)}
          AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()))`,
  );
}
