import type { LogEntry } from '@temporalio/worker';

/** Formats a log entry as one line of JSON, for log collectors. */
export function jsonLine({ level, timestampNanos, message, meta }: LogEntry): string {
  const time = new Date(Number(timestampNanos / 1_000_000n)).toISOString();
  return `${JSON.stringify({ time, level, message, ...meta }, replaceOdd)}\n`;
}

/** Converts bigints and errors, which JSON lacks, and leaves out what does not belong in a log. */
function replaceOdd(key: string, value: unknown): unknown {
  // whoever has it can complete the activity in place of its worker
  if (key === 'taskToken') return undefined;
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) return { name: value.name, message: value.message };
  return value;
}
