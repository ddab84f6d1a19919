import { formatBytes } from '../../src/contract/quantities.ts';

/** `1,620,000`, the same on every machine. */
export function count(amount: number): string {
  return amount.toLocaleString('en-US');
}

/** `48.2 MB/s`, or nothing where no time has passed. */
export function rate(bytes: number, milliseconds: number): string {
  return milliseconds > 0 ? `${formatBytes(Math.round((bytes * 1000) / milliseconds))}/s` : '';
}

/** ` 54 %`; only what is complete is 100 %. */
export function percent(fraction: number): string {
  return `${String(Math.floor(fraction * 100)).padStart(3)} %`;
}

/** A bar of so many characters. */
export function bar(fraction: number, width: number): string {
  const filled = Math.floor(Math.min(Math.max(fraction, 0), 1) * width);
  return '█'.repeat(filled) + '░'.repeat(width - filled);
}
