import { log } from '@temporalio/activity';
import { mayBegin, readMembers, type StoredMember } from '../bronze/database-runs.ts';
import { feedOf } from '../bronze/layout.ts';
import { findOutcomes, recordUnplanned } from '../bronze/manifest.ts';
import type { CopiedTable, CopiedTables, CopyTablesRequest } from '../contract/database-activities.ts';
import { extractTableInput } from '../contract/extract-table.ts';
import { DatakitError, failurePolicies, isOfServer, withAdvice } from '../contract/failures.ts';
import { partOf } from '../contract/run-parts.ts';
import { formatTableName } from '../contract/table-name.ts';
import { extractSmallTable } from '../extraction/extract-small-table.ts';
import { applicationName } from '../postgres/application-name.ts';
import type { Session } from '../postgres/session.ts';
import type { Dependencies } from './dependencies.ts';
import { countCopied, countRetry, measureCommit } from './metrics.ts';
import { dropWhenTerminated, requireNoOtherRun, workflowNamespace } from './other-runs.ts';
import { runActivity, type ActivityTools } from './run-activity.ts';

/** A message is for a list of many: the manifest has all of it. */
const LONGEST_MESSAGE = 500;

/**
 * Extracts small tables, one after the other. The manifest is what a retry goes by: tables that are committed
 * are told again and not extracted again. A worker that was asked to stop leaves those that it has not begun.
 */
export async function copyTables(
  dependencies: Dependencies,
  request: CopyTablesRequest,
): Promise<CopiedTables> {
  const terminated = async () => dropWhenTerminated(dependencies, async () => request.runId);
  return runActivity(
    'extracting small tables',
    async (tools) => {
      const { warehouse, isStopping } = dependencies;
      const limits = {
        applicationName: applicationName(request.runId),
        mode: 'READ WRITE',
        signal: tools.signal,
      } as const;
      const ask = async <T>(work: (session: Session) => Promise<T>) => warehouse.transaction(limits, work);
      const { members, done } = await ask(async (session) => {
        const found = await readMembers(session, request.runId, request.members);
        return {
          members: found,
          done: await findOutcomes(
            session,
            found.map((one) => runIdOf(request, one)),
          ),
        };
      });
      const tables: CopiedTable[] = [];
      for (const stored of members) {
        const { member } = stored;
        const earlier = done.get(runIdOf(request, stored));
        if (earlier !== undefined) {
          const { status, rows, bytes } = earlier;
          tables.push({ member, outcome: status === 'superseded' ? status : 'committed', rows, bytes });
          continue;
        }
        if (isStopping()) break;
        const copied = await copyTable(dependencies, request, stored, tools, tables.length);
        if (copied === 'paused') break;
        tables.push(copied);
      }
      return { tables };
    },
    terminated,
  );
}

/** Names the run of one table in the manifest, and in its rows. */
const runIdOf = ({ runId, restarts }: CopyTablesRequest, { request }: StoredMember): string =>
  partOf(
    runId,
    `${restarts === 0 ? '' : `${restarts}/`}${formatTableName(extractTableInput.parse(request).table)}`,
  );

async function copyTable(
  { warehouse, sourceNamed }: Dependencies,
  request: CopyTablesRequest,
  stored: StoredMember,
  { signal, attempt, report }: ActivityTools,
  finished: number,
): Promise<CopiedTable | 'paused'> {
  const { member } = stored;
  const input = extractTableInput.parse(stored.request);
  const table = formatTableName(input.table);
  const { workflowId, runId: databaseRunId } = request;
  const run = { runId: runIdOf(request, stored), workflowId, databaseRunId, namespace: workflowNamespace() };
  const onProgress = () => report({ table, finished, of: request.members.length });
  onProgress();
  try {
    const begin = async (session: Session) => {
      await requireNoOtherRun(session, feedOf(input).target, run.runId);
      return mayBegin(session, databaseRunId, member);
    };
    const result = await extractSmallTable(
      { run, input, snapshot: request.snapshot, before: stored.before, mayBegin: begin },
      { warehouse, sourceNamed, attempt, signal, onProgress },
    );
    if (!('rows' in result)) {
      return result.outcome === 'paused' ? 'paused' : { member, outcome: 'skipped', rows: 0, bytes: 0 };
    }
    const { outcome, rows, bytes } = result;
    countCopied(input.source, result, 1);
    measureCommit(result);
    log.info('extracted', { runId: databaseRunId, source: input.source, table, rows, bytes, outcome });
    return { member, outcome: outcome === 'superseded' ? outcome : 'committed', rows, bytes };
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof DatakitError) || isOfServer(error.kind)) throw error;
    const message = withAdvice(error.kind, `While extracting ${table}: ${error.message}`);
    const left = { member, rows: 0, bytes: 0, message: message.slice(0, LONGEST_MESSAGE) };
    // a workflow of its own waits, tries again, or plans anew: what it cannot mend, it tells
    if (failurePolicies[error.kind].retry !== 'never' || beginAnew.has(error.kind)) {
      countRetry(error.kind);
      log.info('left to a workflow of its own', { table, reason: error.message });
      return { ...left, outcome: 'alone' };
    }
    await warehouse.transaction(
      { applicationName: applicationName(databaseRunId), mode: 'READ WRITE', signal },
      async (session) => recordUnplanned(session, { ...run, ...feedOf(input), status: 'failed', message }),
    );
    return { ...left, outcome: 'failed' };
  }
}

const beginAnew: ReadonlySet<string> = new Set(['PlanOutdated', 'StagingLost']);
