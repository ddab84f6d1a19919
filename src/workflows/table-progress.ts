import type { ObservedTable } from '../contract/activities.ts';
import type { TableProgress } from '../contract/progress.ts';
import type { ListedTable } from './table-list.ts';

/** A table that is under way, by what the ledger said of it last. */
export function runningProgress(
  { table, alone, startedAt }: ListedTable,
  looked: ObservedTable | undefined,
): TableProgress {
  const { rows = 0, bytes = 0, chunksDone = 0, chunks = 0 } = looked ?? {};
  const done = { table, rows, bytes, chunksDone, chunks };
  if (!alone) return { ...done, phase: 'packed' };
  const phase = looked === undefined ? 'planning' : chunksDone < chunks ? 'copying' : 'committing';
  return { ...done, phase, copyingSince: startedAt };
}

export function endedProgress({ table, state, rows, bytesCopied }: ListedTable): TableProgress {
  const phase = state === 'waiting' || state === 'running' ? 'skipped' : state;
  return { table, phase, rows, bytes: bytesCopied, chunksDone: 0, chunks: 0 };
}
