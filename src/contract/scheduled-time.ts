import ms, { type StringValue } from 'ms';

const RELATIVE = /^\s*scheduled\s*(?:([-+])\s*(\d[\d.]*\s*[a-z]+)\s*)?$/i;

/**
 * The moment that a text like `scheduled`, `scheduled - 1 day` or `scheduled + 6 hours` means.
 *
 * @param scheduled when the run was to begin: of a backfill that is a time in the past
 * @returns nothing where the text is no such moment
 */
export function scheduledMoment(text: string, scheduled: Date): Date | undefined {
  const match = RELATIVE.exec(text);
  if (match === null) return undefined;
  const [, sign = '+', span = '0 ms'] = match;
  const milliseconds = hasUnit(span) ? ms(span) : Number.NaN;
  const moment = new Date(scheduled.getTime() + (sign === '-' ? -milliseconds : milliseconds));
  return Number.isNaN(moment.getTime()) ? undefined : moment;
}

/** The expression above lets nothing else through. */
const hasUnit = (span: string): span is StringValue => /^\d/.test(span);

/**
 * What of an input may be relative to the time of a schedule, and how the bounds of that range are written then, in UTC.
 *
 * Keys of partitions are dates, or times with or without a zone, and a moment that has more than the key is refused: so
 * it has no zone, which means UTC, and a midnight is the date.
 */
const RANGES: Readonly<Record<string, (moment: Date) => string>> = {
  incremental: (moment) => moment.toISOString(),
  partitions: (moment) => moment.toISOString().replace(/(T00:00:00\.000)?Z$/, ''),
};
const BOUNDS = ['from', 'to'] as const;

/** The settings of a table with the bounds of its ranges made absolute. What is not well-formed is left as it is. */
export function atScheduledTime<T>(settings: T, scheduled: Date): T {
  if (!isRecord(settings)) return settings;
  const changed: Record<string, unknown> = {};
  for (const [name, written] of Object.entries(RANGES)) {
    const range: unknown = Reflect.get(settings, name);
    if (typeof range !== 'object' || range === null) continue;
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

/** The same for the settings of each table of an input of `extractDatabase`. */
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
