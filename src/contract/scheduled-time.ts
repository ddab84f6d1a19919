import ms, { type StringValue } from 'ms';

const RELATIVE = /^\s*scheduled\s*(?:([-+])\s*(\d[\d.]*\s*[a-z]+)\s*)?$/i;

/**
 * Resolves a text such as `scheduled`, `scheduled - 1 day` or `scheduled + 6 hours`.
 *
 * @param scheduled when the run was due to start; in the past for a backfill
 * @returns undefined if the text is not of this form
 */
export function scheduledMoment(text: string, scheduled: Date): Date | undefined {
  const match = RELATIVE.exec(text);
  if (match === null) return undefined;
  const [, sign = '+', span = '0 ms'] = match;
  const milliseconds = isShort(span) ? ms(span) : Number.NaN;
  const moment = new Date(scheduled.getTime() + (sign === '-' ? -milliseconds : milliseconds));
  return Number.isNaN(moment.getTime()) ? undefined : moment;
}

/** Returns true for a text that {@link scheduledMoment} does not know, but that nobody means as a value. */
export const isAlmostRelative = (text: string): boolean =>
  /^\s*scheduled\s*[-+]/i.test(text) && scheduledMoment(text, new Date(0)) === undefined;

/** `ms` throws on longer texts, which would stop a workflow for good instead of refusing its input. */
const isShort = (span: string): span is StringValue => span.length <= 100;

/**
 * Ranges whose bounds may be relative to a schedule's time, and how each is then written, in UTC.
 *
 * Partition keys are dates, or times with or without a zone, and a bound more precise than the key is refused:
 * so it has no zone, which means UTC, and a midnight becomes a date.
 */
const RANGES: Readonly<Record<string, (moment: Date) => string>> = {
  incremental: (moment) => moment.toISOString(),
  partitions: (moment) => moment.toISOString().replace(/(T00:00:00\.000)?Z$/, ''),
};
const BOUNDS = ['from', 'to'] as const;

/** Returns the settings of a table with the bounds of its ranges made absolute; malformed ones are left alone. */
export function atScheduledTime<T>(settings: T, scheduled: Date): T {
  if (!isRecord(settings)) return settings;
  const changed: Record<string, unknown> = {};
  for (const [name, written] of Object.entries(RANGES)) {
    const range: unknown = Reflect.get(settings, name);
    if (!isRecord(range)) continue;
    const bounds: Record<string, unknown> = { ...range };
    for (const bound of BOUNDS) {
      const text = bounds[bound];
      const moment = typeof text === 'string' ? scheduledMoment(text, scheduled) : undefined;
      if (moment !== undefined) bounds[bound] = written(moment);
    }
    changed[name] = bounds;
  }
  return { ...settings, ...changed };
}

/** Does the same for the settings of each table in an input of `extractDatabase`. */
export function databaseAtScheduledTime<T>(request: T, scheduled: Date): T {
  if (!isRecord(request)) return request;
  const { tables, defaults } = request as { tables?: unknown; defaults?: unknown };
  if (!Array.isArray(tables)) return request;
  return {
    ...request,
    tables: tables.map((one: unknown) => atScheduledTime(one, scheduled)),
    ...(defaults !== undefined && { defaults: atScheduledTime(defaults, scheduled) }),
  };
}

const isRecord = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
