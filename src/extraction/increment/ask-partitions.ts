import { DatakitError } from '../../contract/failures.ts';
import { formatTableName, type TableName } from '../../contract/table-name.ts';
import type { Partition } from '../../postgres/catalog/partitions.ts';
import { isGone } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';
import { MOST_LOCKED_AT_ONCE } from '../partitions/pack-partitions.ts';

/** Beyond this, one long statement takes as long as several. */
const MOST_IN_A_STATEMENT = 100;
/** A condition may be a list of thousands of values. */
const LONGEST_STATEMENT = 1_000_000;

/** Has the server skip partitions whose bounds exclude what is asked for, as it does if the table itself is queried. */
export const BY_BOUNDS = ['SET LOCAL constraint_exclusion = on'];

export interface Asked {
  readonly table: TableName;
  readonly partitions: readonly Partition[];
  /** A condition that the statement has for each partition. */
  readonly where?: string | undefined;
}

/**
 * Asks the partitions of a table, as many at a time as may be locked at once. A statement over the table itself would
 * lock each partition and each of its indexes, and fill the server's lock table if there are thousands.
 *
 * @param ask called for the partitions in reverse order, since the last ones usually have the newest rows; returns true
 *   if no others need be asked
 * @param settings for what is asked, as SQL: see {@link BY_BOUNDS}
 * @throws {DatakitError} PlanOutdated if one of them, or a column, was dropped since the transaction began
 */
export async function askPartitions(
  source: Session,
  { table, partitions, where = '' }: Asked,
  ask: (some: readonly Partition[]) => Promise<boolean>,
  settings: readonly string[] = [],
): Promise<void> {
  const most = Math.min(MOST_IN_A_STATEMENT, Math.ceil(LONGEST_STATEMENT / (where.length + 1)));
  try {
    for (const some of batchesOf(partitions.toReversed(), most))
      if (await source.withRolePath(async () => ask(some), settings)) return;
  } catch (error) {
    if (!isGone(error)) throw error;
    throw new DatakitError(
      'PlanOutdated',
      `${formatTableName(table)}, or a partition or column of it, was dropped while it was planned`,
      { cause: error },
    );
  }
}

function batchesOf(partitions: readonly Partition[], most: number): Partition[][] {
  const batches: Partition[][] = [];
  let [batch, locks]: [Partition[], number] = [[], 0];
  for (const partition of partitions) {
    const fits = batch.length < most && locks + partition.locks <= MOST_LOCKED_AT_ONCE;
    if (!fits || batches.length === 0) {
      [batch, locks] = [[], 0];
      batches.push(batch);
    }
    batch.push(partition);
    locks += partition.locks;
  }
  return batches;
}
