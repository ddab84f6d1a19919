import type { PartProgress, Progress } from '../contract/progress.ts';
import { formatBytes, formatCount, formatDuration } from '../contract/quantities.ts';
import {
  chunksOf,
  detailsTable,
  elapsedItem,
  hasEnded,
  planningLines,
  restartLines,
  timeLeft,
  type DetailsLine,
} from './details-table.ts';
import { escaped, markdownList } from './markdown.ts';

/** Renders progress in Markdown, for the details that the Web UI shows of a run. */
export function progressDetails(progress: Progress, now: number): string {
  const { table, phase, rows, bytes, chunksDone, chunks, parallelism, copyingSince } = progress;
  const elapsed = copyingSince === 0 ? 0 : now - copyingSince;
  const left = phase === 'copying' && chunks > 0 ? timeLeft(chunksDone / chunks, elapsed) : '';
  const lines = [
    `**${escaped(table)}**: ${phase}`,
    '',
    ...markdownList([
      [`${formatCount(rows)} rows`, formatBytes(bytes)],
      [chunks === 0 ? '' : `${chunksOf(progress)} chunks`, hasEnded(phase) ? '' : `${parallelism} at once`],
      elapsedItem(bytes, elapsed, left),
    ]),
    ...partitionsTable(progress, now),
  ];
  const { snapshotTakenAt: takenAt } = progress;
  if (takenAt !== undefined) {
    lines.push(
      '',
      hasEnded(phase) ? `Snapshot of ${takenAt}.` : `Snapshot of ${takenAt}, ${ageOf(takenAt, now)} old.`,
    );
  }
  if (progress.checkpoint !== undefined) lines.push('', `Checkpoint: ${progress.checkpoint}.`);
  if (phase === 'paused') {
    lines.push('', 'Paused: nothing new starts until `resume`. Snapshots stay open.');
  }
  lines.push(
    ...planningLines(phase),
    ...uncountedLines(progress),
    ...restartLines(progress, 'a new snapshot or plan'),
  );
  return lines.join('\n');
}

/** What has passed of a chunk is known to its activity alone. */
const uncountedLines = ({ phase, chunksDone, chunks }: Progress): string[] =>
  phase === 'copying' && chunksDone === 0 && chunks > 0
    ? ['', 'Rows are counted once their chunk is done. "Pending Activities" show the bytes that have passed.']
    : [];

/** Lists the reported partitions one by one, and the others together. */
function partitionsTable({ partitions, ...whole }: Progress, now: number): string[] {
  if (partitions === undefined) return [];
  const others = { ...lessAll(whole, partitions), name: 'the others', phase: '' };
  const lines = partitions.map((one) => ({ ...one, phase: phaseOf(one) }));
  return detailsTable('partition', others.chunks > 0 ? [...lines, others] : lines, now);
}

function lessAll(whole: Omit<Progress, 'partitions'>, parts: readonly PartProgress[]) {
  const less = (key: 'rows' | 'bytes' | 'chunksDone' | 'chunks') =>
    Math.max(0, whole[key] - parts.reduce((sum, part) => sum + part[key], 0));
  return { rows: less('rows'), bytes: less('bytes'), chunksDone: less('chunksDone'), chunks: less('chunks') };
}

function phaseOf({ chunksDone, chunks, copyingSince }: PartProgress): DetailsLine['phase'] {
  if (copyingSince !== undefined) return 'copying';
  return chunksDone < chunks ? 'waiting' : 'copied';
}

function ageOf(moment: string, now: number): string {
  return formatDuration(Math.max(0, now - Date.parse(moment)));
}
