import { findNewTargets, findPlainTables } from '../../bronze/schema/plain-table.ts';
import { feedOf } from '../../bronze/layout.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import type { CopyContext } from '../copy/copy-context.ts';
import { extractGroup, type Exchangeable, type GroupContext } from './extract-group.ts';
import { LONGEST_QUEUE } from '../../bronze/readers.ts';
import type { SmallTable } from './extract-small-table.ts';
import { readingLimits } from '../plan/plan-run.ts';
import { StallWatch } from '../copy/stall-watch.ts';

/** The context for extracting a pack of small tables. */
export interface PackContext
  extends
    Omit<CopyContext, 'onCopied' | 'onProgress'>,
    Pick<GroupContext, 'mayBegin' | 'onBegin' | 'onDone'> {}

/**
 * Extracts small tables whose bronze tables are plain, or not there yet, in groups: each group is read table by table in
 * one transaction of the source and made visible in one of the warehouse, with as few statements as possible.
 *
 * Whatever cannot be done this way, for any reason, is left to {@link extractSmallTable}, which can handle every
 * table and reports what is wrong with one.
 *
 * @returns the error that ended it early, if any
 */
export async function extractPlainTables(
  tables: readonly SmallTable[],
  context: PackContext,
): Promise<Error | undefined> {
  const [first] = tables;
  if (first === undefined) return undefined;
  const watch = new StallWatch(first.input.stallTimeout);
  const signal = AbortSignal.any([context.signal, watch.signal]);
  try {
    await extractAll(tables, first, { ...context, signal }, watch.passed);
    return undefined;
  } catch (error) {
    context.signal.throwIfAborted();
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    watch.close();
  }
}

/** True if the input asks for the rows of a table and nothing more. */
export const isPlain = ({
  incremental,
  write,
  partitions,
  onlyChanged,
  requireAllRows,
  verify,
}: ExtractTableInput): boolean =>
  [incremental, write, partitions, onlyChanged].every((input) => input === undefined) &&
  !requireAllRows &&
  verify !== 'checksum';

/** True if one source transaction can read both, judging by their session settings. */
export function readAlike(one: ExtractTableInput, other: ExtractTableInput): boolean {
  const limits = [one, other].map((input) => [input.source, input.stallTimeout, readingLimits(input)]);
  return JSON.stringify(limits[0]) === JSON.stringify(limits[1]);
}

const targetOf = ({ input }: SmallTable): string => feedOf(input).target;

async function extractAll(
  tables: readonly SmallTable[],
  { input, run, snapshot }: SmallTable,
  { warehouse, sourceNamed, signal, ...context }: PackContext,
  passed: () => void,
): Promise<void> {
  const limits = { run: run.databaseRunId, signal, lockTimeout: LONGEST_QUEUE };
  const targets = tables.map(targetOf);
  const [plain, fresh] = await warehouse.write(limits, async (session) => {
    const present = await findPlainTables(session, targets);
    const others = targets.filter((target) => !present.has(target));
    return [present, await findNewTargets(session, others)];
  });
  const exchangeable = tables
    .map((table) => ({ table, bronze: plain.get(targetOf(table)) }))
    .filter(({ table, bronze }) => bronze !== undefined || fresh.has(targetOf(table)));
  await extractGroups(exchangeable, {
    ...context,
    warehouse,
    source: sourceNamed(input.source),
    snapshot,
    limits,
    reading: { ...readingLimits(input), ...limits },
    passed,
  });
}

async function extractGroups(exchangeable: readonly Exchangeable[], group: GroupContext): Promise<void> {
  for (let begun = 0; begun < exchangeable.length && !group.isStopping();) {
    const extracted = await extractGroup(exchangeable.slice(begun), group);
    if (extracted === 'paused') break;
    for (const [table, result] of extracted.done) group.onDone(table, result);
    begun += extracted.begun;
  }
}
