import { log } from '@temporalio/activity';
import { findEnded } from '../bronze/bookkeeping/manifest.ts';
import { outcomeOf } from '../bronze/commit/commit.ts';
import { LONGEST_QUEUE } from '../bronze/readers.ts';
import { isCopyWanted, planCopy } from '../capture/copy-tables.ts';
import type {
  CopySmallTablesRequest,
  PlanCopyRequest,
  TableRun,
  TriedTable,
} from '../contract/capture-activities.ts';
import { affectsEveryTable, DatakitError } from '../contract/failures.ts';
import type { RunOutcome } from '../contract/run-outcome.ts';
import { formatTableName } from '../contract/table-name.ts';
import { extractPlanned, isSmall } from '../extraction/small/extract-planned.ts';
import type { Session } from '../postgres/session.ts';
import type { Dependencies } from './dependencies.ts';
import { endCopy } from './finish-copy.ts';
import { countCopied, countRetry, measureCommit } from './metrics.ts';
import { runActivity, type ActivityTools } from './run-activity.ts';
import { storePlanOf, type Finish } from './store-plan.ts';

/** Milliseconds after which no other table is begun, so that people who pause a capture do not wait long. */
const LONG_ENOUGH = 10_000;

/** Copies those tables of a capture that are worth neither chunks nor activities of their own. */
export async function copySmallTables(
  dependencies: Dependencies,
  request: CopySmallTablesRequest,
): Promise<readonly TriedTable[]> {
  return runActivity(
    'copying small tables of a capture',
    async (tools) => {
      await dependencies.ready();
      const { tables } = request;
      const until = performance.now() + LONG_ENOUGH;
      const tried: TriedTable[] = [];
      for (const table of tables) {
        if (dependencies.isStopping() || performance.now() > until) break;
        tools.report({ table: formatTableName(table), finished: tried.length, of: tables.length });
        tried.push(await copyOrLeave(dependencies, request, table, tools));
      }
      return tried;
    },
    { underWay: true },
  );
}

const LEFT: TriedTable = { outcome: 'alone', rows: 0, bytes: 0, warnings: [] };

/** Leaves whatever fails for one table only to activities of its own: they wait, retry, and say what is wrong. */
async function copyOrLeave(
  dependencies: Dependencies,
  request: CopySmallTablesRequest,
  table: TableRun,
  tools: ActivityTools,
): Promise<TriedTable> {
  try {
    const {
      rows = 0,
      bytes = 0,
      warnings = [],
    } = (await copyTable(dependencies, request, table, tools)) ?? {};
    return { outcome: 'copied', rows, bytes, warnings };
  } catch (error) {
    tools.signal.throwIfAborted();
    if (error instanceof TooLarge) return LEFT;
    const kind = error instanceof DatakitError ? error.kind : 'Unexpected';
    if (affectsEveryTable(kind)) throw error;
    countRetry(kind);
    log.info('left to activities of its own', { table: formatTableName(table), reason: String(error) });
    return LEFT;
  }
}

/** Ends the transaction that planned a table, so that nothing of the plan is left. */
class TooLarge extends Error {}

/** @returns undefined if another run has copied the table in the meantime */
async function copyTable(
  dependencies: Dependencies,
  request: CopySmallTablesRequest,
  { runId, schema, name }: TableRun,
  tools: ActivityTools,
): Promise<RunOutcome | undefined> {
  const { signal, attempt } = tools;
  const one = { ...request, table: { schema, name }, runId };
  const { wanted, ended } = await dependencies.warehouse.write({ run: runId, signal }, async (session) => ({
    wanted: await isCopyWanted(session, one),
    // the result of an earlier attempt may have been lost
    ended: await findEnded(session, runId, attempt),
  }));
  const earlier = ended && outcomeOf(ended);
  if (!wanted) return earlier;
  const outcome = earlier ?? (await copyNow(dependencies, one, tools));
  await endCopy(dependencies, one, tools);
  return outcome;
}

async function copyNow(
  dependencies: Dependencies,
  request: PlanCopyRequest & Pick<CopySmallTablesRequest, 'snapshot'>,
  tools: ActivityTools,
): Promise<RunOutcome | undefined> {
  const { warehouse, sourceNamed } = dependencies;
  const { source, runId, workflowId, snapshot } = request;
  const { signal, attempt } = tools;
  const limits = { run: runId, signal, lockTimeout: LONGEST_QUEUE };
  const make = async (target: Session) => {
    const plan = await planCopy(sourceNamed(source), target, request, limits);
    if (!isSmall(plan)) throw new TooLarge();
    return plan;
  };
  const finish: Finish = async (target, stored) =>
    extractPlanned(target, stored, snapshot, { ...dependencies, ...tools, onProgress: () => undefined });
  const run = { runId, workflowId, attempt };
  const { outcome, chunks } = await storePlanOf(warehouse, signal, run, make, finish);
  if (outcome === undefined) return undefined;
  countCopied(source, outcome, chunks);
  measureCommit(outcome);
  return outcome;
}
