import { formatBytes } from '../../src/contract/quantities.ts';

/** Formats a rate as `48.2 MB/s`; empty if no time has passed. */
export function rate(bytes: number, milliseconds: number): string {
  return milliseconds > 0 ? `${formatBytes(Math.round((bytes * 1000) / milliseconds))}/s` : '';
}

/** Formats a fraction as ` 54 %`; only a complete one is 100 %. */
export function percent(fraction: number): string {
  return `${String(Math.floor(fraction * 100)).padStart(3)} %`;
}

/** Draws a bar of the given width in characters. */
export function bar(fraction: number, width: number): string {
  const filled = Math.floor(Math.min(Math.max(fraction, 0), 1) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}
