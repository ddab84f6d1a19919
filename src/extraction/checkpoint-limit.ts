import type { CheckpointLimit } from '../bronze/incremental-plan.ts';
import type { Partition } from '../postgres/catalog/partitions.ts';
import type { Table } from '../postgres/catalog/table.ts';
import { greatestValue, isTime, type Cursor } from '../postgres/cursor.ts';
import { hasPreparedWriters, readOldestTransaction, withAncestors } from '../postgres/oldest-transaction.ts';
import type { Session } from '../postgres/session.ts';

export interface Watched {
  readonly table: Table;
  readonly partitions: readonly Partition[];
  readonly cursor: Cursor;
  /** Whether the greatest value is had at once. */
  readonly indexed: boolean;
}

/**
 * Finds what the checkpoint must not pass, so that no row commits behind it later.
 *
 * For values of time that is the start of the oldest open transaction. For values that count it is
 * the greatest one there is now, once all who are writing now have ended: whoever writes later takes
 * greater ones. All of it before the run's snapshot, so that what is seen ending is in the snapshot.
 */
export async function limitCheckpoint(
  source: Session,
  { table, partitions, cursor, indexed }: Watched,
): Promise<CheckpointLimit> {
  const { seenAt, startedAt, visible } = await readOldestTransaction(source);
  if (!isWrittenHere(table, partitions)) return { kind: 'unseen', seenAt };
  if (isTime(cursor.kind)) {
    const tables = await withAncestors(source, [table.oid, ...partitions.map(({ oid }) => oid)]);
    if (await hasPreparedWriters(source, tables)) return { kind: 'hold' };
    return visible ? { kind: 'transaction', seenAt, startedAt } : { kind: 'unseen', seenAt };
  }
  const { standby } = await source.one<{ standby: boolean }>('SELECT pg_is_in_recovery() AS standby');
  if (standby || !indexed || table.kind === 'view') return { kind: 'unseen', seenAt };
  const value = await readGreatest(source, table, cursor);
  return value === undefined ? { kind: 'hold' } : { kind: 'value', value };
}

/** Who writes to a foreign table is not seen here, and a materialized view shows rows long after their commit. */
function isWrittenHere({ kind }: Table, partitions: readonly Partition[]): boolean {
  return (
    kind === 'view' ||
    ((kind === 'table' || kind === 'partitioned table') && partitions.every(({ hasBlocks }) => hasBlocks))
  );
}

/** At once, by an index. Any transaction that took a value up to it held its lock on the table before. */
async function readGreatest(source: Session, table: Table, cursor: Cursor): Promise<string | undefined> {
  const [row] = await source.withRolePath(async () =>
    source.query<{ greatest: string }>(greatestValue(cursor, table)),
  );
  return row?.greatest;
}
