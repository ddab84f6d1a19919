import { z } from 'zod';

/** A date or a time as people write it, in a form that PostgreSQL reads whatever its settings are. */
export interface Moment {
  /** `2024-01-31`, `2024-01-31 06:30:00`, `2024-01-31 06:30:00.5+02:00`. */
  readonly text: string;
  readonly hasTime: boolean;
  readonly hasZone: boolean;
}

const expected =
  'expected a date or a time such as "2024-01-31", "2024-01-31 06:30" or "2024-01-31T06:30:00Z"';

const written = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,6})?)?\s?(Z|[+-]\d\d(?::?\d\d)?)?)?$/i;

/** A moment as an input has it. The day must be one of the calendar. */
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

/** The year 0 is none, and JavaScript makes the 2nd of March of the 31st of February. */
function isDay(date: string): boolean {
  const day = new Date(`${date}T00:00:00Z`);
  return !date.startsWith('0000') && !Number.isNaN(day.getTime()) && day.toISOString().startsWith(date);
}

/** Milliseconds since 1970, with microseconds as their fraction; what has no zone is taken as UTC. NaN for what is no time of day. */
export function instantOf({ text, hasTime, hasZone }: Moment): number {
  if (!hasTime) return Date.parse(`${text}T00:00:00Z`);
  const [, whole = '', fraction = '', zone = ''] = /^(.{10} .{8})(\.\d+)?(.*)$/.exec(text) ?? [];
  if (whole.slice(11, 13) === '24') return Number.NaN;
  return Date.parse(`${whole.replace(' ', 'T')}${hasZone ? zone : 'Z'}`) + Number(`0${fraction}`) * 1000;
}
