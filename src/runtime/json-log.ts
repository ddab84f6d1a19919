import type { LogEntry } from '@temporalio/worker';

/** A log entry as one line of JSON, for whatever collects logs. */
export function jsonLine({ level, timestampNanos, message, meta }: LogEntry): string {
  const time = new Date(Number(timestampNanos / 1_000_000n)).toISOString();
  return `${JSON.stringify({ time, level, message, ...meta }, replaceOdd)}\n`;
}

/** JSON knows neither bigints nor errors, and a log should not know everything. */
function replaceOdd(key: string, value: unknown): unknown {
  // who has it can end the activity in the place of its worker
  if (key === 'taskToken') return undefined;
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Error) return { name: value.name, message: value.message };
  return value;
}
