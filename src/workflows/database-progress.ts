import type { Observed, ObservedTable } from '../contract/observed.ts';
import type { DatabaseProgress, TableProgress } from '../contract/progress.ts';
import type { ListedTable, TableList } from './table-list.ts';

/** Limit for tables, and for failures, in the answer to a query. */
const MOST_SHOWN = 50;
const MOST_ENDED = 20;
/** The cost of a table besides its bytes, in bytes, to estimate the time left. */
const A_TABLE = 1024 * 1024;

/** Fields of the run as a whole. */
type OfTheRun = Pick<
  DatabaseProgress,
  'phase' | 'parallelism' | 'copyingSince' | 'snapshotTakenAt' | 'restarts' | 'restartReason'
>;

/** Returns the progress of a run of many tables, from its list and the ledger's last report. */
export function databaseProgress(
  list: TableList,
  observed: Observed | undefined,
  run: OfTheRun,
): DatabaseProgress {
  const total = list.total();
  const { committed, superseded, failed, skipped } = list.counts();
  const looked = new Map((observed?.tables ?? []).map((one) => [one.table, one]));
  const running = list.in('running').map((table) => runningProgress(table, looked.get(table.table)));
  // the warehouse reports what packs have finished before their activities end
  const ended = Math.max(total.rows, observed?.finished.rows ?? 0);
  const endedBytes = Math.max(total.bytes, observed?.finished.bytes ?? 0);
  return {
    ...run,
    tables: list.tables.length,
    waiting: list.waiting,
    running: running.slice(0, MOST_SHOWN),
    ended: list.largestEnded(MOST_ENDED).map(endedProgress),
    committed,
    superseded,
    failed,
    skipped,
    rows: ended + running.reduce((sum, { rows }) => sum + rows, 0),
    bytes: endedBytes + running.reduce((sum, { bytes }) => sum + bytes, 0),
    done: shareDone(list, looked),
    failures: list
      .in('failed')
      .slice(-MOST_SHOWN)
      .map(({ table, message = '' }) => ({ table, message })),
  };
}

/** Returns the share of bytes that is done, from 0 to 1; a table under way counts by its finished chunks. */
function shareDone({ tables }: TableList, looked: ReadonlyMap<string, ObservedTable>): number {
  let [done, all] = [0, 0];
  for (const { table, bytes, state } of tables) {
    const { chunksDone = 0, chunks = 1 } = looked.get(table) ?? {};
    const share = state === 'waiting' ? 0 : state === 'running' ? chunksDone / Math.max(1, chunks) : 1;
    // even a table without bytes takes time
    done += share * (bytes + A_TABLE);
    all += bytes + A_TABLE;
  }
  return all === 0 ? 0 : done / all;
}

/** Returns the progress of a table under way, from the ledger's last report. */
function runningProgress(
  { table, alone, startedAt }: ListedTable,
  looked: ObservedTable | undefined,
): TableProgress {
  const { rows = 0, bytes = 0, chunksDone = 0, chunks = 0 } = looked ?? {};
  const done = { table, rows, bytes, chunksDone, chunks };
  if (!alone) return { ...done, phase: 'packed' };
  const phase = looked === undefined ? 'planning' : chunksDone < chunks ? 'copying' : 'committing';
  return { ...done, phase, copyingSince: startedAt };
}

function endedProgress({ table, state, rows, bytesCopied }: ListedTable): TableProgress {
  const phase = state === 'waiting' || state === 'running' ? 'skipped' : state;
  return { table, phase, rows, bytes: bytesCopied, chunksDone: 0, chunks: 0 };
}
