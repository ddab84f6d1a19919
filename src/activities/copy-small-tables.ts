import { log } from '@temporalio/activity';
import { LONGEST_QUEUE } from '../bronze/readers.ts';
import { isCopyWanted, planCopy } from '../capture/copy-tables.ts';
import { readPublished, type Published } from '../capture/describe-published.ts';
import { readSourceUri } from '../capture/source-facts.ts';
import type { CopySmallTablesRequest, TableRun, TriedTable } from '../contract/capture-activities.ts';
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
      const { warehouse, sourceNamed, ready } = dependencies;
      await ready();
      const { tables } = request;
      const { signal } = tools;
      const source = sourceNamed(request.source);
      const pack = {
        ...request,
        sourceUri: await readSourceUri(source, { signal }),
        published: await readPublished(source, warehouse, request, { signal }),
      };
      const until = performance.now() + LONG_ENOUGH;
      const tried: TriedTable[] = [];
      for (const table of tables) {
        if (dependencies.isStopping() || performance.now() > until) break;
        tools.report({ table: formatTableName(table), finished: tried.length, of: tables.length });
        tried.push(await copyOrLeave(dependencies, pack, table, tools));
      }
      return tried;
    },
    { underWay: true },
  );
}

interface Pack extends CopySmallTablesRequest {
  readonly sourceUri: string;
  readonly published: Published;
}

const NOTHING = { rows: 0, bytes: 0, warnings: [] };

/** Leaves whatever fails for one table only to activities of its own: they wait, retry, and say what is wrong. */
async function copyOrLeave(
  dependencies: Dependencies,
  pack: Pack,
  table: TableRun,
  tools: ActivityTools,
): Promise<TriedTable> {
  try {
    const outcome = (await copyTable(dependencies, pack, table, tools)) ?? NOTHING;
    const { rows, bytes, warnings = [] } = outcome;
    return { outcome: 'copied', rows, bytes, warnings };
  } catch (error) {
    tools.signal.throwIfAborted();
    if (error instanceof NotCopied) return { ...NOTHING, outcome: error.outcome };
    const kind = error instanceof DatakitError ? error.kind : 'Unexpected';
    if (affectsEveryTable(kind)) throw error;
    countRetry(kind);
    log.info('left to activities of its own', { table: formatTableName(table), reason: String(error) });
    return { ...NOTHING, outcome: 'alone' };
  }
}

/** Ends the transaction that plans a table, so that nothing of the plan is left. */
class NotCopied extends Error {
  readonly outcome: TriedTable['outcome'];

  constructor(outcome: TriedTable['outcome']) {
    super();
    this.outcome = outcome;
  }
}

/**
 * Plans, copies and finishes a table. If an earlier attempt has copied it, whose result may have been lost, it returns
 * the outcome of that.
 *
 * @throws {NotCopied} if the table is large, or another run has copied it in the meantime
 */
async function copyTable(
  dependencies: Dependencies,
  request: Pack,
  { runId, schema, name }: TableRun,
  tools: ActivityTools,
): Promise<RunOutcome | undefined> {
  const { warehouse, sourceNamed } = dependencies;
  const { source, workflowId, snapshot } = request;
  const { signal, attempt } = tools;
  const one = { ...request, table: { schema, name }, runId };
  const limits = { run: runId, signal, lockTimeout: LONGEST_QUEUE };
  let copied: RunOutcome | undefined;
  const make = async (target: Session) => {
    if (!(await isCopyWanted(target, one))) throw new NotCopied('copied');
    const plan = await planCopy(sourceNamed(source), target, one, limits, request.published);
    if (!isSmall(plan)) throw new NotCopied('alone');
    return plan;
  };
  const finish: Finish = async (target, stored) => {
    const context = { ...dependencies, ...tools, onProgress: () => undefined };
    return (copied = await extractPlanned(target, stored, snapshot, context));
  };
  const plan = await storePlanOf(warehouse, signal, { runId, workflowId, attempt }, make, finish);
  if (copied !== undefined) {
    countCopied(source, copied, plan.chunks);
    measureCommit(copied);
  }
  await endCopy(dependencies, one, tools);
  return plan.outcome;
}
