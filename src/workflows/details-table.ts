import type { Phase, Progress } from '../contract/progress.ts';
import { formatBytes, formatCount, formatDuration } from '../contract/quantities.ts';
import { escaped, markdownTable } from './markdown.ts';

/** A line in a table of partitions, or of tables. */
export interface DetailsLine {
  readonly name: string;
  readonly phase: string;
  readonly rows: number;
  readonly bytes: number;
  readonly chunksDone: number;
  /** 0 if unknown or none. */
  readonly chunks: number;
  /** When its copy began, in milliseconds since 1970; absent while it is not being copied. */
  readonly copyingSince?: number;
}

/** Renders the progress of each in Markdown. */
export function detailsTable(heading: string, lines: readonly DetailsLine[], now: number): string[] {
  if (lines.length === 0) return [];
  const rows = lines.map((line) => {
    const { name, phase, rows: arrived, bytes, chunksDone, chunks, copyingSince = now } = line;
    const elapsed = Math.max(0, now - copyingSince);
    const left = timeLeft(chunks === 0 ? 0 : chunksDone / chunks, elapsed);
    return [
      escaped(name),
      phase,
      chunksOf(line),
      left,
      formatCount(arrived),
      formatBytes(bytes),
      speed(bytes, elapsed),
    ];
  });
  return ['', ...markdownTable([heading, 'phase', 'chunks:', 'left:', 'rows:', 'data:', 'speed:'], rows)];
}

/** Says that a run began again, and why; nothing if it has not. */
export function restartLines(
  { restarts, restartReason }: Pick<Progress, 'restarts' | 'restartReason'>,
  onWhat: string,
): string[] {
  if (restarts === 0) return [];
  const times = restarts === 1 ? 'once' : `${restarts} times`;
  const why =
    restartReason === undefined
      ? '.'
      : `${restarts === 1 ? '' : ', the last time'}: ${escaped(restartReason)}`;
  return ['', `The run began again ${times} on ${onWhat}${why}`];
}

/** True if a run has ended, so that it holds no snapshot. */
export const hasEnded = (phase: Phase): boolean =>
  phase === 'done' || phase === 'failed' || phase === 'cancelled';

/** What a plan waits for, such as a lock or another run, is known to its activity alone, which tells it when it fails. */
export const planningLines = (phase: Phase): string[] =>
  phase === 'planning'
    ? ['', 'If this lasts longer than 10 seconds, "Pending Activities" say what it waits for.']
    : [];

/** @param elapsed milliseconds since copying began; 0 before */
export const elapsedItem = (bytes: number, elapsed: number, left: string): string[] => [
  elapsed === 0 ? '' : `${formatDuration(elapsed)} of copying`,
  speed(bytes, elapsed),
  left === '' ? '' : `about ${left} left`,
];

export const chunksOf = ({ chunksDone, chunks }: Pick<DetailsLine, 'chunksDone' | 'chunks'>): string =>
  chunks === 0 ? '' : `${chunksDone} of ${chunks}`;

/** @param elapsed milliseconds; the speed is unknown if this is 0 or nothing has arrived */
export const speed = (bytes: number, elapsed: number): string =>
  elapsed === 0 || bytes === 0 ? '' : `${formatBytes(Math.round((bytes / elapsed) * 1000))}/s`;

/** @param done from 0 to 1; the time left is unknown at either end */
export const timeLeft = (done: number, elapsed: number): string =>
  done === 0 || done >= 1 || elapsed === 0 ? '' : formatDuration((elapsed / done) * (1 - done));
