import { log } from '@temporalio/activity';
import { findTargetsUnderWay } from '../bronze/bookkeeping/abandoned-runs.ts';
import {
  mayBegin,
  readMembers,
  type MayBegin,
  type StoredMember,
} from '../bronze/bookkeeping/database-runs.ts';
import { feedOf } from '../bronze/layout.ts';
import { findOutcomes, recordUnplanned } from '../bronze/bookkeeping/manifest.ts';
import type { Attempt } from '../contract/attempt.ts';
import type { CopiedTable, CopiedTables, CopyTablesRequest } from '../contract/database-activities.ts';
import { extractTableInput } from '../contract/extract-table.ts';
import {
  DatakitError,
  failurePolicies,
  affectsEveryTable,
  restartsRun,
  withAdvice,
} from '../contract/failures.ts';
import { partOf } from '../contract/run-parts.ts';
import { formatTableName } from '../contract/table-name.ts';
import {
  extractSmallTable,
  type SmallTable,
  type Finished,
} from '../extraction/small/extract-small-table.ts';
import { isPlain, readAlike, extractPlainTables } from '../extraction/small/extract-plain-tables.ts';
import type { Session } from '../postgres/session.ts';
import type { Dependencies } from './dependencies.ts';
import { countCopied, countRetry, measureCommit } from './metrics.ts';
import { dropWhenTerminated, requireNoOtherRun, workflowNamespace } from './other-runs.ts';
import { runActivity, type ActivityTools } from './run-activity.ts';

/** Characters. Messages appear in a list of many; the manifest has them in full. */
const LONGEST_MESSAGE = 500;

/**
 * Extracts small tables, one after another. A retry goes by the manifest: tables already committed are reported, but
 * not extracted again. A worker that was asked to stop leaves tables that it has not begun.
 */
export async function copyTables(
  dependencies: Dependencies,
  request: CopyTablesRequest,
): Promise<CopiedTables> {
  const terminated = async () => dropWhenTerminated(dependencies, async () => request.runId);
  return runActivity(
    'extracting small tables',
    async (tools) => {
      const { warehouse, ready, isStopping } = dependencies;
      await ready();
      const limits = { run: request.runId, signal: tools.signal };
      const ask = async <T>(work: (session: Session) => Promise<T>) => warehouse.write(limits, work);
      const { members, done } = await ask(async (session) => {
        const stored = await readMembers(session, request.runId, request.members);
        if (stored.length < request.members.length) throw membersLost();
        const found = stored.map((one) => memberOf(request, one, tools.attempt));
        const runIds = found.map(({ table }) => table.run.runId);
        return { members: found, done: await findOutcomes(session, runIds, tools.attempt) };
      });
      const tables: CopiedTable[] = members.flatMap(({ member, table }) => {
        const earlier = done.get(table.run.runId);
        return earlier === undefined ? [] : [asCopied(member, { ...earlier, outcome: earlier.status })];
      });
      const left = members.filter(({ table }) => !done.has(table.run.runId));
      const plain = await copyPlainMembers(dependencies, request, left, tools, tables);
      for (const one of left) {
        if (plain.has(one)) continue;
        if (isStopping()) break;
        const copied = await copyTable(dependencies, request, one, tools, tables.length);
        if (copied === 'paused') break;
        tables.push(copied);
      }
      return { tables };
    },
    { underWay: true, afterwards: terminated },
  );
}

const membersLost = (): DatakitError =>
  new DatakitError('StagingLost', 'The list of tables is gone from the warehouse', {
    advice: 'Start the workflow again.',
  });

/** A table of the pack, prepared for its extraction. */
interface Member {
  readonly member: number;
  readonly name: string;
  readonly table: SmallTable;
}

function memberOf(
  request: CopyTablesRequest,
  { member, request: own, before }: StoredMember,
  attempt: Attempt,
): Member {
  const input = extractTableInput.parse(own);
  const name = formatTableName(input.table);
  const { runId: databaseRunId, workflowId, restarts, snapshot } = request;
  // identifies the run of the table in the manifest and in its rows
  const runId = partOf(databaseRunId, `${restarts === 0 ? '' : `${restarts}/`}${name}`);
  const run = { runId, workflowId, databaseRunId, namespace: workflowNamespace(), attempt };
  const begin = async (session: Session) => {
    await requireNoOtherRun(session, feedOf(input).target, runId);
    return (await mayBegin(session, databaseRunId, [member])).get(member) ?? 'skipped';
  };
  return { member, name, table: { run, input, snapshot, before, mayBegin: begin } };
}

/** Copies plain members in groups; if one fails, the cause shows when it is copied by itself. */
async function copyPlainMembers(
  { warehouse, sourceNamed, isStopping }: Dependencies,
  request: CopyTablesRequest,
  members: readonly Member[],
  { signal, attempt, report }: ActivityTools,
  tables: CopiedTable[],
): Promise<ReadonlySet<Member>> {
  const plain = members.filter(({ table }) => isPlain(table.input));
  const [first] = plain;
  const alike = plain.filter(({ table }) => first !== undefined && readAlike(first.table.input, table.input));
  const byRun = new Map(alike.map((one) => [one.table.run.runId, one]));
  const copied = new Set<Member>();
  const stopped = await extractPlainTables(
    alike.map(({ table }) => table),
    {
      warehouse,
      sourceNamed,
      attempt,
      signal,
      isStopping,
      mayBegin: async (session, next) => whichMayBegin(session, request, byRun, next),
      onBegin: ({ input }) =>
        report({ table: formatTableName(input.table), finished: tables.length, of: request.members.length }),
      onDone: ({ run }, result) => {
        const one = byRun.get(run.runId);
        if (one === undefined) return;
        copied.add(one);
        tables.push(told(request, one, result));
      },
    },
  );
  if (stopped !== undefined) log.info('left to transactions of their own', { reason: stopped.message });
  return copied;
}

/** Leaves tables that another run is writing to be examined individually. */
async function whichMayBegin(
  session: Session,
  { runId }: CopyTablesRequest,
  byRun: ReadonlyMap<string, Member>,
  tables: readonly SmallTable[],
): Promise<ReadonlyMap<SmallTable, MayBegin | 'elsewhere'>> {
  const members = tables.flatMap(({ run }) => byRun.get(run.runId) ?? []);
  const answers = await mayBegin(session, runId, members.map(({ member }) => member)); // prettier-ignore
  const underWay = await findTargetsUnderWay(session, {
    namespace: workflowNamespace(),
    targets: tables.map(({ input }) => feedOf(input).target),
    runIds: tables.map(({ run }) => run.runId),
  });
  return new Map(
    members.map(({ member, table }) => [
      table,
      underWay.has(feedOf(table.input).target) ? 'elsewhere' : (answers.get(member) ?? 'skipped'),
    ]),
  );
}

/** Counts and logs the outcome of a table. */
function told(
  { runId }: CopyTablesRequest,
  { member, name, table: { input } }: Member,
  result: Finished,
): CopiedTable {
  if (!('rows' in result)) return { member, outcome: 'skipped', rows: 0, bytes: 0 };
  const { outcome, rows, bytes } = result;
  countCopied(input.source, result, 1);
  measureCommit(result);
  log.info('extracted', { runId, source: input.source, table: name, rows, bytes, outcome });
  return asCopied(member, result);
}

const asCopied = (
  member: number,
  { outcome, rows, bytes }: { readonly outcome: string; readonly rows: number; readonly bytes: number },
): CopiedTable => ({ member, outcome: outcome === 'superseded' ? outcome : 'committed', rows, bytes });

async function copyTable(
  { warehouse, sourceNamed }: Dependencies,
  request: CopyTablesRequest,
  one: Member,
  { signal, attempt, report }: ActivityTools,
  finished: number,
): Promise<CopiedTable | 'paused'> {
  const { member, name, table } = one;
  const { input, run } = table;
  const onProgress = () => report({ table: name, finished, of: request.members.length });
  onProgress();
  try {
    const result = await extractSmallTable(table, { warehouse, sourceNamed, attempt, signal, onProgress });
    return result.outcome === 'paused' ? 'paused' : told(request, one, result);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof DatakitError) || affectsEveryTable(error.kind)) throw error;
    const message = withAdvice(error.kind, `While extracting ${name}: ${error.message}`, error.advice);
    const left = { member, rows: 0, bytes: 0, message: message.slice(0, LONGEST_MESSAGE) };
    // a workflow of its own waits, retries or plans anew, and reports what it cannot mend
    if (failurePolicies[error.kind].retry !== 'never' || restartsRun(error.kind)) {
      countRetry(error.kind);
      log.info('left to a workflow of its own', { table: name, reason: error.message });
      return { ...left, outcome: 'alone' };
    }
    await warehouse.write({ run: request.runId, signal }, async (session) =>
      recordUnplanned(session, { ...run, ...feedOf(input), status: 'failed', message }),
    );
    return { ...left, outcome: 'failed' };
  }
}
