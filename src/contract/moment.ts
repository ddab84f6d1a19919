import { z } from 'zod';

/** A date or time as people write it, in a form that PostgreSQL reads the same under any settings. */
export interface Moment {
  /** `2024-01-31`, `2024-01-31 06:30:00`, `2024-01-31 06:30:00.5+02:00`. */
  readonly text: string;
  readonly hasTime: boolean;
  readonly hasZone: boolean;
}

const expected =
  'expected a date or a time such as "2024-01-31", "2024-01-31 06:30" or "2024-01-31T06:30:00Z", or "scheduled - 1 day"';

const written = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,6})?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;

/** A date or time in an input. The day must exist in the calendar. */
export const moment = z.string({ error: expected }).transform((text, context): Moment => {
  const [, date, time, seconds = ':00', zone] = written.exec(text.trim()) ?? [];
  const parsed: Moment = {
    text: time === undefined ? (date ?? '') : `${date} ${time}${seconds}${offsetOf(zone)}`,
    hasTime: time !== undefined,
    hasZone: zone !== undefined,
  };
  if (date !== undefined && isDay(date) && !Number.isNaN(instantOf(parsed))) return parsed;
  context.addIssue({ code: 'custom', message: expected });
  return z.NEVER;
});

function offsetOf(zone: string | undefined): string {
  if (zone === undefined) return '';
  if (/^z$/i.test(zone)) return '+00:00';
  return `${zone.slice(0, 3)}:${zone.slice(3).replace(':', '') || '00'}`;
}

/** Rejects what `Date` accepts: the year 0, and the 31st of February, which it moves into March. */
function isDay(date: string): boolean {
  const day = new Date(`${date}T00:00:00Z`);
  return !date.startsWith('0000') && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date);
}

/** Milliseconds since 1970, with microseconds as the fraction; UTC without a zone. NaN for an invalid time. */
export function instantOf({ text, hasTime, hasZone }: Moment): number {
  if (!hasTime) return Date.parse(`${text}T00:00:00Z`);
  const [, whole = '', fraction = '', zone = ''] = /^(.{10} .{8})(\.\d+)?(.*)$/.exec(text) ?? [];
  if (whole.slice(11, 13) === '24') return Number.NaN;
  return Date.parse(`${whole.replace(' ', 'T')}${hasZone ? zone : 'Z'}`) + Number(`0${fraction}`) * 1000;
}
