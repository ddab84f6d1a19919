import parseBytes from 'bytes';
import ms, { type StringValue } from 'ms';
import { z } from 'zod';

/** A span of time as people write it (`"5 minutes"`, `"90s"`); parsed to milliseconds. */
export const duration = z.string().transform((text, context): number => {
  const milliseconds = text.trim() === '' ? Number.NaN : ms(text as StringValue);
  if (Number.isFinite(milliseconds) && milliseconds > 0) return milliseconds;
  context.addIssue({ code: 'custom', message: 'expected a duration such as "5 minutes", "90s" or "1 hour"' });
  return z.NEVER;
});

/** An amount of data as people write it (`"64MB"`, `"1.5 GB"`), 1 kB being 1,024 bytes as in PostgreSQL; parsed to bytes. */
export const size = z.string().transform((text, context): number => {
  const amount = /^\s*\d+(\.\d+)?\s*[kmgt]?b\s*$/i.test(text) ? parseBytes.parse(text.trim()) : null;
  if (amount !== null && amount > 0 && Number.isSafeInteger(amount)) return amount;
  context.addIssue({ code: 'custom', message: 'expected a size such as "64MB" or "1 GB"' });
  return z.NEVER;
});

/** `12.3 MB`, for people. */
export function formatBytes(amount: number): string {
  return parseBytes.format(amount, { unitSeparator: ' ', decimalPlaces: 1 }) ?? `${amount} B`;
}

/** `840 ms`, `12.3 s`, `4 min 5 s`, `2 h 10 min`, for people. */
export function formatDuration(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`;
  const seconds = milliseconds / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
