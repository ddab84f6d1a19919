import ms, { type StringValue } from 'ms';

const RELATIVE = /^\s*scheduled\s*(?:([-+])\s*(\d[\d.]*\s*[a-z]+)\s*)?$/i;

/**
 * The moment that a text like `scheduled`, `scheduled - 1 day` or `scheduled + 6 hours` means, in ISO 8601 and UTC.
 *
 * @param scheduled when the run was to begin: of a backfill that is a time in the past
 * @returns nothing where the text is no such moment
 */
export function scheduledMoment(text: string, scheduled: Date): string | undefined {
  const match = RELATIVE.exec(text);
  if (match === null) return undefined;
  const [, sign = '+', span = '0 ms'] = match;
  const milliseconds = hasUnit(span) ? ms(span) : Number.NaN;
  if (!Number.isFinite(milliseconds)) return undefined;
  return new Date(scheduled.getTime() + (sign === '-' ? -milliseconds : milliseconds)).toISOString();
}

/** The expression above lets nothing else through. */
const hasUnit = (span: string): span is StringValue => /^\d/.test(span);

/** Where a range is given: what of an input may be relative to the time of a schedule. */
const RANGES = ['incremental', 'partitions'] as const;
const BOUNDS = ['from', 'to'] as const;

/** The settings of a table with the bounds of its ranges made absolute. What is not well-formed is left as it is. */
export function atScheduledTime<T>(settings: T, scheduled: Date): T {
  if (!isRecord(settings)) return settings;
  const changed: Record<string, unknown> = {};
  for (const name of RANGES) {
    const range: unknown = Reflect.get(settings, name);
    if (typeof range !== 'object' || range === null) continue;
    const bounds: Record<string, unknown> = { ...range };
    for (const bound of BOUNDS) {
      const text = bounds[bound];
      if (typeof text === 'string') bounds[bound] = scheduledMoment(text, scheduled) ?? text;
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
