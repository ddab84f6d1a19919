import type { DatabaseProgress } from '../contract/progress.ts';
import { formatBytes, formatCount, formatDuration } from '../contract/quantities.ts';
import {
  detailsTable,
  elapsedItem,
  hasEnded,
  planningLines,
  restartLines,
  timeLeft,
} from './details-table.ts';
import { escaped, markdownList } from './markdown.ts';

/** Most rows of a Markdown table, so that it fits on a screen. */
const MOST_SHOWN = 20;

/** Renders progress in Markdown, for the details that the Web UI shows of a run. */
export function databaseDetails(progress: DatabaseProgress, now: number): string {
  const { phase, tables, committed, superseded, failed, skipped, waiting, running } = progress;
  const elapsed = progress.copyingSince === 0 ? 0 : now - progress.copyingSince;
  const done = committed + superseded;
  const left = phase === 'copying' ? timeLeft(progress.done, elapsed) : '';
  const lines = [
    `**${formatCount(done)} of ${formatCount(tables)} tables**: ${phase}`,
    '',
    ...markdownList([
      [`${running.length} copying`, `${waiting} waiting`, `${failed} failed`, `${skipped} skipped`],
      [
        `${formatCount(progress.rows)} rows`,
        formatBytes(progress.bytes),
        hasEnded(phase) ? '' : `${progress.parallelism} chunks at once`,
      ],
      elapsedItem(progress.bytes, elapsed, left),
    ]),
    ...tablesTable(progress, now),
  ];
  for (const { table, message } of progress.failures.slice(-MOST_SHOWN)) {
    lines.push('', `**${escaped(table)}** failed: ${escaped(message)}`);
  }
  if (progress.snapshotTakenAt !== undefined) {
    const age = formatDuration(Math.max(0, now - Date.parse(progress.snapshotTakenAt)));
    const held = hasEnded(phase) ? '' : `; that snapshot is ${age} old`;
    lines.push('', `All tables as of ${progress.snapshotTakenAt}${held}.`);
  }
  if (phase === 'paused') lines.push('', 'Paused: nothing new starts until `resume`. Snapshots stay open.');
  lines.push(...planningLines(phase), ...restartLines(progress, 'a new snapshot'));
  return lines.join('\n');
}

/** Lists the tables under way, then the largest that have ended. */
function tablesTable({ running, ended }: DatabaseProgress, now: number): string[] {
  const lines = [...running, ...ended].slice(0, MOST_SHOWN);
  return detailsTable(
    'table',
    lines.map((one) => ({ ...one, name: one.table })),
    now,
  );
}
