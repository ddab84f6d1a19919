import { log } from '@temporalio/activity';
import { dropAbandoned, stagingTablesOf } from '../bronze/bookkeeping/abandoned-runs.ts';
import {
  countOrphanedChunks,
  dropOrphanedChunks,
  dropOrphanedTable,
  findOrphanedTables,
} from '../bronze/bookkeeping/orphans.ts';
import { DatakitError } from '../contract/failures.ts';
import { foundOf, type MaintainBronzeInput, type MaintainBronzeResult } from '../contract/maintain-bronze.ts';
import { LONGEST_QUEUE } from '../bronze/readers.ts';
import type { Database } from '../postgres/database.ts';
import type { Session } from '../postgres/session.ts';
import { isLockTimeout } from '../postgres/server-failure.ts';
import type { Dependencies } from './dependencies.ts';
import { findAbandoned, workflowNamespace } from './other-runs.ts';
import { runActivity } from './run-activity.ts';

/** Drops each leftover in a transaction of its own, so that none waits for a lock on another. */
export async function maintainBronze(
  { warehouse, ready }: Dependencies,
  { dryRun, lostNamespaces }: MaintainBronzeInput,
): Promise<MaintainBronzeResult> {
  return runActivity('clearing up in the warehouse', async ({ signal }) => {
    requireOthers(lostNamespaces);
    await ready();
    const inTransaction = inTransactionsOf(warehouse, signal);
    const { abandoned, leftAlone } = await inTransaction(async (session) =>
      findAbandoned(session, { lostNamespaces }),
    );
    const dropped: string[] = [];
    const locked: string[] = [];
    for (const { runId } of abandoned) {
      const tables = await inTransaction(async (session) => stagingTablesOf(session, runId));
      const drop = async () =>
        dryRun ? undefined : inTransaction(async (session) => dropAbandoned(session, runId));
      ((await isLocked(drop)) ? locked : dropped).push(...tables);
    }
    for (const table of await inTransaction(findOrphanedTables)) {
      const drop = async () =>
        dryRun ? undefined : inTransaction(async (session) => dropOrphanedTable(session, table));
      ((await isLocked(drop)) ? locked : dropped).push(table);
    }
    const ledgerRows = await inTransaction(dryRun ? countOrphanedChunks : dropOrphanedChunks);
    const result: MaintainBronzeResult = {
      dryRun,
      runs: foundOf(abandoned.map(({ workflowId, runId }) => ({ workflowId, runId }))),
      stagingTables: foundOf(dropped),
      ledgerRows,
      leftAlone,
      locked: foundOf(locked),
    };
    log.info('maintained', { ...result });
    return result;
  });
}

/** Refuses this workflow's own namespace, where Temporal knows which runs are over. */
function requireOthers(lostNamespaces: readonly string[]): void {
  const own = workflowNamespace();
  if (!lostNamespaces.includes(own)) return;
  throw new DatakitError(
    'InvalidInput',
    `lostNamespaces: "${own}" is the namespace of this workflow, and so is not lost`,
  );
}

type InTransaction = <T>(work: (session: Session) => Promise<T>) => Promise<T>;

const inTransactionsOf =
  (warehouse: Database, signal: AbortSignal): InTransaction =>
  async (work) =>
    // a table that stays locked for longer is left until the next time
    warehouse.write({ lockTimeout: LONGEST_QUEUE, signal }, work);

async function isLocked(drop: () => Promise<void>): Promise<boolean> {
  try {
    await drop();
    return false;
  } catch (error) {
    if (!isLockTimeout(error)) throw error;
    return true;
  }
}
