import { formatBytes, formatDuration } from '../contract/quantities.ts';

/** A line of a table of partitions, or of tables. */
export interface DetailsLine {
  readonly name: string;
  readonly phase: string;
  readonly rows: number;
  readonly bytes: number;
  readonly chunksDone: number;
  /** 0 where it is not known, or none. */
  readonly chunks: number;
  /** Since when it is being copied, in milliseconds since 1970; absent where it is not. */
  readonly copyingSince?: number;
}

/** How far each of them is, in Markdown. */
export function detailsTable(heading: string, lines: readonly DetailsLine[], now: number): string[] {
  if (lines.length === 0) return [];
  return [
    '',
    `| ${heading} | phase | rows | data | chunks | speed | left |`,
    '|:--|:--|--:|--:|--:|--:|--:|',
    ...lines.map((line) => {
      const { name, phase, rows, bytes, chunksDone, chunks, copyingSince = now } = line;
      const elapsed = Math.max(0, now - copyingSince);
      const left = timeLeft(chunks === 0 ? 0 : chunksDone / chunks, elapsed);
      const cells = [
        cell(name),
        phase,
        count(rows),
        formatBytes(bytes),
        chunksOf(line),
        speed(bytes, elapsed),
        left,
      ];
      return `| ${cells.join(' | ')} |`;
    }),
  ];
}

export const count = (amount: number): string => amount.toLocaleString('en-US');

const chunksOf = ({ chunksDone, chunks }: DetailsLine): string =>
  chunks === 0 ? '' : `${chunksDone} of ${chunks}`;

/** @param elapsed milliseconds; nothing is known of the speed where it, or what arrived in it, is 0 */
export const speed = (bytes: number, elapsed: number): string =>
  elapsed === 0 || bytes === 0 ? '' : `${formatBytes(Math.round((bytes / elapsed) * 1000))}/s`;

/** @param done from 0 to 1; nothing is known where it is either */
export const timeLeft = (done: number, elapsed: number): string =>
  done === 0 || done >= 1 || elapsed === 0 ? '' : formatDuration((elapsed / done) * (1 - done));

/** Names may have what Markdown takes for its own. */
export const cell = (text: string): string => text.replaceAll(/[|\\`*_<]/g, '\\$&').replaceAll(/\s+/g, ' ');
