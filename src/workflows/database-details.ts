import type { DatabaseProgress } from '../contract/progress.ts';
import { formatBytes, formatDuration } from '../contract/quantities.ts';

/** The most rows of a table in Markdown: what people look at should fit on a screen. */
const MOST_SHOWN = 20;

/** Progress in Markdown, for the details that the Web UI shows of a run. */
export function databaseDetails(progress: DatabaseProgress, now: number): string {
  const { phase, tables, committed, superseded, failed, skipped, waiting, running } = progress;
  const elapsed = progress.copyingSince === 0 ? 0 : now - progress.copyingSince;
  const done = committed + superseded;
  const lines = [
    `**${done.toLocaleString('en-US')} of ${tables.toLocaleString('en-US')} tables**: ${phase}`,
    '',
    '| done | copying | waiting | failed | skipped | rows | data | speed | at once | copying for | left |',
    '|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
    `| ${done} | ${running.length} | ${waiting} | ${failed} | ${skipped} | ${progress.rows.toLocaleString('en-US')} | ${formatBytes(progress.bytes)} | ${speed(progress.bytes, elapsed)} | ${progress.parallelism} | ${formatDuration(elapsed)} | ${timeLeft(progress, elapsed)} |`,
  ];
  if (running.length > 0) {
    lines.push('', '| table | rows | data | chunks |', '|:--|--:|--:|--:|');
    for (const { table, rows, bytes, chunksDone, chunks } of running.slice(0, MOST_SHOWN)) {
      lines.push(
        `| ${cell(table)} | ${rows.toLocaleString('en-US')} | ${formatBytes(bytes)} | ${chunks === 0 ? '' : `${chunksDone} of ${chunks}`} |`,
      );
    }
  }
  if (progress.failures.length > 0) {
    lines.push('', '| failed | why |', '|:--|:--|');
    for (const { table, message } of progress.failures.slice(-MOST_SHOWN)) {
      lines.push(`| ${cell(table)} | ${cell(message)} |`);
    }
  }
  if (progress.snapshotTakenAt !== undefined) {
    const age = formatDuration(Math.max(0, now - Date.parse(progress.snapshotTakenAt)));
    lines.push('', `All tables as of ${progress.snapshotTakenAt}; that snapshot is ${age} old.`);
  }
  if (phase === 'paused')
    lines.push('', 'Paused: nothing is begun until `resume`. A snapshot that is held stays held.');
  if (progress.restarts > 0)
    lines.push('', `The run began again ${progress.restarts} times on a new snapshot.`);
  return lines.join('\n');
}

function speed(bytes: number, elapsed: number): string {
  return elapsed === 0 ? '' : `${formatBytes(Math.round((bytes / elapsed) * 1000))}/s`;
}

function timeLeft({ phase, done }: DatabaseProgress, elapsed: number): string {
  return phase !== 'copying' || done === 0 ? '' : formatDuration((elapsed / done) * (1 - done));
}

/** Names may have what Markdown takes for its own. */
const cell = (text: string): string => text.replaceAll(/[|\\`*_<]/g, '\\$&').replaceAll(/\s+/g, ' ');
