import type { CheckpointLimit, Doubt } from '../../bronze/incremental-plan.ts';
import type { Partition } from '../../postgres/catalog/partitions.ts';
import { readRelationsBeneath } from '../../postgres/catalog/relations-beneath.ts';
import { isFromSequence } from '../../postgres/catalog/sequences.ts';
import type { Table } from '../../postgres/catalog/table.ts';
import { greatestValue, isGreater, isNumber, isTime, type Cursor } from '../../postgres/cursor.ts';
import {
  hasPreparedTransactions,
  hasPreparedWriters,
  isSubscribed,
  readOldestTransaction,
  withAncestors,
} from '../../postgres/oldest-transaction.ts';
import type { Session } from '../../postgres/session.ts';
import { askPartitions, BY_BOUNDS } from './ask-partitions.ts';

export interface Watched {
  readonly table: Table;
  readonly partitions: readonly Partition[];
  readonly cursor: Cursor;
  /** True if an index yields the greatest value at once. */
  readonly indexed: boolean;
}

/**
 * Finds the limit that the checkpoint must not pass, so that no row commits behind it later.
 *
 * For time values it is the start of the oldest open transaction. For other values it is the current greatest one,
 * once all current writers have ended: later writers take greater values. All of this happens before the run's
 * snapshot is taken, so that the snapshot includes whatever was seen to end.
 */
export async function limitCheckpoint(source: Session, watched: Watched): Promise<CheckpointLimit> {
  const { seenAt, startedAt, hidden, standby, logEnd } = await readOldestTransaction(source);
  const unseen = (doubt: Doubt): CheckpointLimit => ({ kind: 'unseen', seenAt, doubt });
  const tables = await findTablesHere(source, watched);
  if (tables === undefined) return unseen('elsewhere');
  if (await isSubscribed(source, tables)) return unseen('subscription');
  if (standby) return unseen('standby');
  const { table, cursor, indexed } = watched;
  if (isTime(cursor.kind)) {
    if (await mayCommitPrepared(source, table, tables)) return { kind: 'hold' };
    if (hidden !== null) return unseen(hidden);
    return { kind: 'transaction', seenAt, startedAt, ...(logEnd !== null && { logEnd }) };
  }
  if (table.kind === 'view') return unseen('view');
  return indexed ? limitByValue(source, watched, tables) : unseen('index');
}

/**
 * Finds the tables that hold the rows, and their ancestors, whose lock a writer may hold instead. Undefined if not
 * all are here: writers to a foreign table are invisible, and a materialized view shows rows long after commit.
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

/** For a view, any prepared transaction counts: what the view reads through functions is not known. */
async function mayCommitPrepared(
  source: Session,
  { kind }: Table,
  tables: readonly number[],
): Promise<boolean> {
  return kind === 'view' ? hasPreparedTransactions(source) : hasPreparedWriters(source, tables);
}

/**
 * Limits the checkpoint by the greatest value, which an index yields at once. A transaction that took a value up to
 * it from the sequence already held its table lock. For other values that is uncertain; writers are awaited anyway.
 */
async function limitByValue(
  source: Session,
  watched: Watched,
  tables: readonly number[],
): Promise<CheckpointLimit> {
  const { table, cursor } = watched;
  const safe = isNumber(cursor.kind) && (await isFromSequence(source, table, tables, cursor.column));
  const doubt = safe ? {} : ({ doubt: 'values' } as const);
  const value = await findGreatest(source, watched);
  return value === undefined ? { kind: 'hold', ...doubt } : { kind: 'value', value, ...doubt };
}

async function findGreatest(source: Session, watched: Watched): Promise<string | undefined> {
  const { cursor } = watched;
  let value: string | undefined;
  const find = async (partitions: readonly Partition[]) => {
    const greater = value === undefined ? [] : [isGreater(cursor, value)];
    const [row] = await source.query<{ greatest: string }>(greatestValue(cursor, partitions, greater));
    value = row?.greatest ?? value;
    return false;
  };
  await askPartitions(source, watched, find, BY_BOUNDS);
  return value;
}
