import { log } from '@temporalio/activity';
import { openDatabaseRun, readFeeds, readMemberPage } from '../bronze/bookkeeping/database-runs.ts';
import type {
  Member,
  MemberPageRequest,
  ResolvedTables,
  ResolveTablesRequest,
} from '../contract/database-activities.ts';
import type { BoundedNames } from '../contract/extract-database.ts';
import { utf8Length } from '../contract/table-name.ts';
import { LONGEST_LOCK_TIMEOUT } from '../extraction/plan/plan-run.ts';
import { resolveTables as resolve } from '../extraction/plan/resolve-tables.ts';
import type { Dependencies } from './dependencies.ts';
import { sweepAbandoned, workflowNamespace } from './other-runs.ts';
import { runActivity } from './run-activity.ts';

/** Limit on the names of a list in a result. */
const MOST_NAMES = 100;

export async function resolveTables(
  { warehouse, sourceNamed, ready, searchAttributesKnown }: Dependencies,
  { request, ...run }: ResolveTablesRequest,
): Promise<ResolvedTables> {
  return runActivity('finding the tables', async ({ signal }) => {
    const name = request.source ?? 'default';
    const source = sourceNamed(name);
    await ready();
    const limits = { run: run.runId, signal };
    return warehouse.write(limits, async (target) => {
      await sweepAbandoned(target);
      const feeds = await readFeeds(target, name);
      const { members, added, vanished } = await source.read(
        { ...limits, lockTimeout: LONGEST_LOCK_TIMEOUT },
        async (session) => resolve(session, request, feeds),
      );
      const consistency = request.consistency ?? 'snapshot';
      const lists = { newTables: added, vanishedTables: vanished };
      const opened = { ...run, namespace: workflowNamespace(), source: name, consistency, ...lists };
      await openDatabaseRun(target, opened, members);
      log.info('found tables', { tables: members.length, added: added.length, vanished: vanished.length });
      return {
        count: members.length,
        incremental: members.filter((one) => one.request.incremental !== undefined).length,
        newTables: bounded(added),
        vanishedTables: bounded(vanished),
        searchAttributes: await searchAttributesKnown(),
      };
    });
  });
}

const bounded = (names: readonly string[]): BoundedNames => ({
  count: names.length,
  names: names.slice(0, MOST_NAMES),
});

/** Well below the payload size at which Temporal warns (256 KiB). */
const PAGE_BYTES = 128 * 1024;
const PAGE_ROWS = 2_000;
/** Bytes of a member in JSON, besides the name of its table. */
const BESIDE_THE_NAME = 80;

export async function readMembers(
  { warehouse }: Dependencies,
  { runId, from }: MemberPageRequest,
): Promise<readonly Member[]> {
  return runActivity('reading the list of tables', async ({ signal }) => {
    const limits = { run: runId, signal };
    const members = await warehouse.write(limits, async (session) =>
      readMemberPage(session, runId, from, PAGE_ROWS),
    );
    let bytes = 0;
    return members.filter(
      ({ table }) => (bytes += utf8Length(JSON.stringify(table)) + BESIDE_THE_NAME) < PAGE_BYTES,
    );
  });
}
