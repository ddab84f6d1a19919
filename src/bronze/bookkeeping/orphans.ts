import type { TableName } from '../../contract/table-name.ts';
import { quoteTable } from '../../postgres/identifiers.ts';
import type { Session } from '../../postgres/session.ts';
import { BRONZE, STAGING } from '../layout.ts';
import { endStrayWriters, stagingTables } from './plans.ts';

/**
 * Finds staging tables without a plan. Both are created and dropped in one transaction, so a table without a plan
 * belongs to nobody, even while runs begin and end.
 */
export async function findOrphanedTables(session: Session): Promise<string[]> {
  const rows = await session.query<{ name: string; plans: string[] }>(
    `SELECT c.relname AS name, ARRAY(SELECT staging_table FROM ${BRONZE}.extraction_plans) AS plans
       FROM pg_catalog.pg_class c WHERE c.relkind = 'r' AND c.relnamespace = '${STAGING}'::regnamespace ORDER BY 1`,
  );
  const known = new Set(
    (rows[0]?.plans ?? [])
      .flatMap((name) => stagingTables({ schema: STAGING, name }))
      .map((table) => table.name),
  );
  return rows.filter(({ name }) => !known.has(name)).map(({ name }) => name);
}

export async function dropOrphanedTable(session: Session, name: string): Promise<void> {
  const table: TableName = { schema: STAGING, name };
  await endStrayWriters(session, table);
  await session.query(`DROP TABLE IF EXISTS ${quoteTable(table)}`);
}

/** Ledgers are needed only while their plan runs, or while bronze shows what they loaded. */
const ORPHANED = `NOT EXISTS (SELECT FROM ${BRONZE}.extraction_plans p WHERE p.plan_id = c.plan_id)
   AND NOT EXISTS (SELECT FROM ${BRONZE}.extraction_targets t WHERE t.loaded_by_plan = c.plan_id)`;

export async function countOrphanedChunks(session: Session): Promise<number> {
  const { rows } = await session.one<{ rows: string }>(
    `SELECT count(*) AS rows FROM ${BRONZE}.extraction_chunks c WHERE ${ORPHANED}`,
  );
  return Number(rows);
}

export async function dropOrphanedChunks(session: Session): Promise<number> {
  await session.query(`DELETE FROM ${BRONZE}.extraction_attempts c WHERE ${ORPHANED}`);
  const { rows } = await session.one<{ rows: string }>(
    `WITH dropped AS (DELETE FROM ${BRONZE}.extraction_chunks c WHERE ${ORPHANED} RETURNING 1)
     SELECT count(*) AS rows FROM dropped`,
  );
  return Number(rows);
}
