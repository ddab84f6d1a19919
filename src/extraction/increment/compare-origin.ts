import type { CheckpointOrigin, StoredOrigin } from '../../bronze/bookkeeping/checkpoints.ts';
import type { IncrementalPlan } from '../../bronze/incremental-plan.ts';
import { BRONZE } from '../../bronze/layout.ts';
import { isTime, type Cursor } from '../../postgres/cursor.ts';
import { isBefore } from '../../postgres/replication/lsn.ts';
import type { Session } from '../../postgres/session.ts';
import { readServerOrigin, type ServerOrigin } from '../../postgres/system-identity.ts';

interface Increment
  extends Pick<IncrementalPlan, 'cursor' | 'write'>, Pick<CheckpointOrigin, 'database' | 'table'> {
  readonly target: string;
}

/**
 * Compares the source with the one that a checkpoint was read from. A source that was restored or created anew, or a
 * standby that took its place, may lack rows that were read, and may give their cursor values to other rows.
 *
 * @param before null if it is not known; undefined if there is no checkpoint
 * @returns what the plan stores, and warnings for a run that continues from the checkpoint
 */
export async function compareOrigin(
  source: Session,
  before: StoredOrigin | null | undefined,
  increment: Increment,
): Promise<Pick<IncrementalPlan, 'origin' | 'isOfAnotherOrigin'> & { readonly warnings: readonly string[] }> {
  const { database, table } = increment;
  const server = await readServerOrigin(source);
  const system = server && { systemId: server.systemId, timeline: server.timeline };
  const difference = before ? differenceOf(before, increment, server) : undefined;
  const isUnknown = before === null || (before?.system === undefined && system !== undefined);
  return {
    origin: { database, table, ...(system !== undefined && { system }) },
    ...((isUnknown || difference !== undefined) && { isOfAnotherOrigin: true }),
    warnings: difference === undefined ? [] : [warningOf(difference, increment)],
  };
}

/** Describes how the source differs; undefined if it is certain to have all that was read. */
function differenceOf(
  before: StoredOrigin,
  { database, table, cursor }: Increment,
  server: ServerOrigin | undefined,
): string | undefined {
  if (server !== undefined && before.system !== undefined) {
    const difference = differenceOfServers({ ...before.system, lsn: before.lsn }, server);
    if (difference !== undefined) return difference;
  }
  if (before.database !== database) return `database OID ${database}, and ${before.database} before`;
  // tables with a time cursor are often created anew as a whole, and that makes no run miss a row
  if (before.table !== table && !isTime(cursor.kind)) return `table OID ${table}, and ${before.table} before`;
  return undefined;
}

function differenceOfServers(
  { systemId, timeline, lsn }: NonNullable<StoredOrigin['system']> & Pick<StoredOrigin, 'lsn'>,
  now: ServerOrigin,
): string | undefined {
  if (systemId !== now.systemId) return `system identifier ${now.systemId}, and ${systemId} before`;
  if (timeline === now.timeline) {
    if (lsn === null || now.logEnd === null || !isBefore(now.logEnd, lsn)) return undefined;
    return `its log ends at ${now.logEnd}, and rows were read up to ${lsn}`;
  }
  // a standby that had replayed all that was read, and was promoted directly after that server
  const hasAll = lsn !== null && now.left !== null && !isBefore(now.left, lsn);
  if (hasAll && now.timeline === timeline + 1) return undefined;
  return `timeline ${now.timeline}, and ${timeline} before`;
}

function warningOf(difference: string, { target, cursor, write }: Increment): string {
  const told = `The checkpoint of ${BRONZE}.${target} was read from another source, or from this one before it was restored or made anew (${difference})`;
  return `${told}. If the source has all rows that were read then, nothing is wrong. If not, ${lostBy(cursor)}: ${remedies[write]}. Later runs do not repeat this warning.`;
}

const lostBy = ({ column, kind }: Cursor): string =>
  isTime(kind)
    ? 'rows that it lacks stay in bronze as they were read'
    : `new rows that got the values of "${column}" of those that it lacks are missed, up to the checkpoint`;

const remedies: Readonly<Record<IncrementalPlan['write'], string>> = {
  merge:
    'read them again with "incremental.from" (and "detectDeletes"), or everything with "resetCheckpoint"',
  append: 'extract everything again with "resetCheckpoint"',
};
