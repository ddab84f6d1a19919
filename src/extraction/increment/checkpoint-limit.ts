import type { CheckpointLimit, Doubt } from '../../bronze/incremental-plan.ts';
import type { Partition } from '../../postgres/catalog/partitions.ts';
import { readRelationsBeneath } from '../../postgres/catalog/relations-beneath.ts';
import { isFromSequence } from '../../postgres/catalog/sequences.ts';
import type { Table } from '../../postgres/catalog/table.ts';
import { greatestValue, isNumber, isTime, type Cursor } from '../../postgres/cursor.ts';
import {
  hasPreparedTransactions,
  hasPreparedWriters,
  isSubscribed,
  readOldestTransaction,
  withAncestors,
} from '../../postgres/oldest-transaction.ts';
import type { Session } from '../../postgres/session.ts';

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
export async function limitCheckpoint(source: Session, watched: Watched): Promise<CheckpointLimit> {
  const { seenAt, startedAt, visible, standby } = await readOldestTransaction(source);
  const unseen = (doubt: Doubt): CheckpointLimit => ({ kind: 'unseen', seenAt, doubt });
  const tables = await findTablesHere(source, watched);
  if (tables === undefined) return unseen('elsewhere');
  if (await isSubscribed(source, tables)) return unseen('subscription');
  if (standby) return unseen('standby');
  const { table, cursor, indexed } = watched;
  if (isTime(cursor.kind)) {
    if (await mayCommitPrepared(source, table, tables)) return { kind: 'hold' };
    return visible ? { kind: 'transaction', seenAt, startedAt } : unseen('privilege');
  }
  if (table.kind === 'view') return unseen('view');
  return indexed ? limitByValue(source, watched, tables) : unseen('index');
}

/**
 * The tables that the rows are in, and those whose lock a writer to one of them may hold instead. Undefined where not
 * all are here: who writes to a foreign table is not seen, and a materialized view shows rows long after their commit.
 */
async function findTablesHere(
  source: Session,
  { table, partitions }: Watched,
): Promise<readonly number[] | undefined> {
  if (table.kind === 'view') {
    const beneath = await readRelationsBeneath(source, table.oid);
    if (beneath.some(({ elsewhere }) => elsewhere)) return undefined;
    return withAncestors(
      source,
      beneath.map(({ oid }) => oid),
    );
  }
  const isOrdinary = table.kind === 'table' || table.kind === 'partitioned table';
  if (!isOrdinary || !partitions.every(({ hasBlocks }) => hasBlocks)) return undefined;
  return withAncestors(source, [table.oid, ...partitions.map(({ oid }) => oid)]);
}

/** What a view reads by functions is not known, so that any prepared transaction may have written it. */
async function mayCommitPrepared(
  source: Session,
  { kind }: Table,
  tables: readonly number[],
): Promise<boolean> {
  return kind === 'view' ? hasPreparedTransactions(source) : hasPreparedWriters(source, tables);
}

/**
 * At once, by an index. Any transaction that took a value up to it from the sequence held its lock on the table
 * before. Of values that come from elsewhere this is not known, and who is writing is waited for all the same.
 */
async function limitByValue(
  source: Session,
  { table, cursor }: Watched,
  tables: readonly number[],
): Promise<CheckpointLimit> {
  const safe = isNumber(cursor.kind) && (await isFromSequence(source, table, tables, cursor.column));
  const doubt = safe ? {} : ({ doubt: 'values' } as const);
  const [row] = await source.withRolePath(async () =>
    source.query<{ greatest: string }>(greatestValue(cursor, table)),
  );
  return row === undefined ? { kind: 'hold', ...doubt } : { kind: 'value', value: row.greatest, ...doubt };
}
