import type { Progress } from '../contract/progress.ts';
import { formatBytes, formatDuration } from '../contract/quantities.ts';

/** Progress in Markdown, for the details that the Web UI shows of a run. */
export function progressDetails(progress: Progress, now: number): string {
  const { table, phase, rows, bytes, chunksDone, chunks, parallelism, copyingSince, restarts } = progress;
  const elapsed = copyingSince === 0 ? 0 : now - copyingSince;
  const lines = [
    `**${table}**: ${phase}`,
    '',
    '| rows | data | chunks | at once | copying for | speed | left |',
    '|--:|--:|--:|--:|--:|--:|--:|',
    `| ${rows.toLocaleString('en-US')} | ${formatBytes(bytes)} | ${chunksDone} of ${chunks} | ${parallelism} | ${formatDuration(elapsed)} | ${speed(bytes, elapsed)} | ${timeLeft(progress, elapsed)} |`,
  ];
  if (progress.snapshotTakenAt !== undefined)
    lines.push('', `Snapshot of ${progress.snapshotTakenAt}, ${ageOf(progress.snapshotTakenAt, now)} old.`);
  if (progress.checkpoint !== undefined) lines.push('', `Checkpoint: ${progress.checkpoint}.`);
  if (phase === 'paused') {
    lines.push('', 'Paused: nothing is begun until `resume`. A snapshot that is held stays held.');
  }
  if (restarts > 0) lines.push('', `The run began again ${restarts} times on a new snapshot or plan.`);
  return lines.join('\n');
}

function ageOf(moment: string, now: number): string {
  return formatDuration(Math.max(0, now - Date.parse(moment)));
}

function speed(bytes: number, elapsed: number): string {
  return elapsed === 0 ? '' : `${formatBytes(Math.round((bytes / elapsed) * 1000))}/s`;
}

function timeLeft({ phase, chunksDone, chunks }: Progress, elapsed: number): string {
  if (phase !== 'copying' || chunksDone === 0) return '';
  return formatDuration((elapsed / chunksDone) * (chunks - chunksDone));
}
