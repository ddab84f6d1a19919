import type { CalendarSpec } from '@temporalio/client';
import { InputError } from '../contract/parse-input.ts';

const MONTHS = [
  'JANUARY',
  'FEBRUARY',
  'MARCH',
  'APRIL',
  'MAY',
  'JUNE',
  'JULY',
  'AUGUST',
  'SEPTEMBER',
  'OCTOBER',
  'NOVEMBER',
  'DECEMBER',
] as const;
const DAYS = ['SUNDAY', 'MONDAY', 'TUESDAY', 'WEDNESDAY', 'THURSDAY', 'FRIDAY', 'SATURDAY'] as const;

/** The parts of a calendar, as people write them: `3`, `"1-5"`, `"0-30/10"`, `"mon-fri"`, `"*"`. */
export type Calendar = Readonly<
  Partial<
    Record<
      'second' | 'minute' | 'hour' | 'dayOfMonth' | 'month' | 'year' | 'dayOfWeek',
      string | number | undefined
    >
  >
>;

/** @throws {InputError} for an invalid part of a calendar */
export function calendarSpec(calendar: Calendar): CalendarSpec {
  const { month, dayOfWeek, ...numbers } = calendar;
  const spec: Record<string, unknown> = {};
  for (const [part, text] of Object.entries(numbers)) {
    if (text !== undefined) spec[part] = ranges(part, text, (word) => number(part, word));
  }
  if (month !== undefined) spec['month'] = ranges('month', month, (word) => named('month', word, MONTHS, 1));
  if (dayOfWeek !== undefined) {
    spec['dayOfWeek'] = ranges('dayOfWeek', dayOfWeek, (word) => named('dayOfWeek', word, DAYS, 0));
  }
  return spec;
}

function ranges<Unit>(part: string, text: string | number, read: (word: string) => Unit) {
  if (text === '*') return '*';
  return String(text)
    .split(',')
    .map((item) => {
      const [, from = '', to, step] = /^([^-/]+)(?:-([^/]+))?(?:\/(\d+))?$/.exec(item.trim()) ?? [];
      if (from === '') throw wrong(part, item);
      const start = read(from);
      return { start, end: to === undefined ? start : read(to), step: Number(step ?? 1) };
    });
}

/** Limits of the server, checked here so that it does not refuse a schedule after others have been changed. */
const LIMITS: Readonly<Record<string, readonly [least: number, most: number]>> = {
  second: [0, 59],
  minute: [0, 59],
  hour: [0, 23],
  dayOfMonth: [1, 31],
  year: [2000, 2100],
};

function number(part: string, word: string): number {
  const [least, most] = LIMITS[part] ?? [0, 0];
  const value = Number(word);
  if (/^\d+$/.test(word) && value >= least && value <= most) return value;
  throw wrong(part, word);
}

const CRON_PARTS = ['minute', 'hour', 'dayOfMonth', 'month', 'dayOfWeek'] as const;

/**
 * Checks a cron expression of five parts, each like the corresponding part of a calendar. Expressions of six or seven
 * parts, and those that begin with `@` or a time zone, are left to the server.
 *
 * @throws {InputError} for an invalid expression
 */
export function requireCron(expression: string): void {
  const words = expression.trim().split(/\s+/);
  const [first = ''] = words;
  if (first.startsWith('@') || first.includes('=') || words.length === 6 || words.length === 7) return;
  if (words.length !== CRON_PARTS.length) {
    throw new InputError(`"${expression}" is not a cron expression: expected for example "0 3 * * mon-fri"`);
  }
  for (const [index, part] of CRON_PARTS.entries()) {
    // "?", steps of "*", and 7 for Sunday exist only in cron
    const word = (words[index] ?? '').replace(
      /^[*?](?=\/|$)/,
      part === 'dayOfMonth' || part === 'month' ? '1' : '0',
    );
    calendarSpec({ [part]: part === 'dayOfWeek' ? word.replaceAll('7', '0') : word });
  }
}

function named<Name extends string>(part: string, word: string, names: readonly Name[], first: number): Name {
  const found = /^\d+$/.test(word)
    ? names[Number(word) - first]
    : names.find((name) => word.length >= 3 && name.startsWith(word.toUpperCase()));
  if (found === undefined) throw wrong(part, word);
  return found;
}

/** Examples for the error about an invalid part. */
const EXAMPLES: Readonly<Record<string, string>> = {
  month: '3, "jan-mar"',
  year: '2030, "2030-2035"',
  dayOfWeek: '1, "mon-fri"',
};

const wrong = (part: string, text: string): InputError =>
  new InputError(
    `"${text}" is not a valid ${part}: expected for example ${EXAMPLES[part] ?? '3, "1-5"'} or "*"`,
  );
