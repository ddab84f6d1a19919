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

/** In cron expressions, 7 is Sunday too. */
const CRON_DAY = 'day of the week';

/** The parts of a calendar, as people write them: `3`, `"1-5"`, `"0-30/10"`, `"5/10"`, `"mon-fri"`, `"*"`. */
export type Calendar = Readonly<
  Partial<
    Record<
      'second' | 'minute' | 'hour' | 'dayOfMonth' | 'month' | 'year' | 'dayOfWeek',
      string | number | undefined
    >
  >
>;

/** @throws {InputError} for an invalid part of a calendar, or one that is never due */
export function calendarSpec(calendar: Calendar): CalendarSpec {
  requireSomeDay(String(calendar.dayOfMonth ?? '*'), String(calendar.month ?? '*'));
  const spec: Record<string, unknown> = {};
  for (const [part, text] of Object.entries(calendar)) {
    if (text === undefined) continue;
    const nameOf = { month: (one: number) => MONTHS[one - 1], dayOfWeek: (one: number) => DAYS[one] }[part];
    const ranges = rangesOf(part, String(text));
    spec[part] =
      ranges === '*' || nameOf === undefined
        ? ranges
        : ranges.map(({ start, end, step }) => ({ start: nameOf(start), end: nameOf(end), step }));
  }
  return spec;
}

interface Range {
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

function rangesOf(part: string, text: string): '*' | Range[] {
  if (text === '*') return '*';
  return text.split(',').map((item) => {
    const [, from, to, step] = /^([^-/]+)(?:-([^/]+))?(?:\/(\d+))?$/.exec(item.trim()) ?? [];
    if (from === undefined || Number(step) === 0) throw wrong(part, item);
    const [least, most] = LIMITS[part] ?? [0, 0];
    const start = from === '*' && step !== undefined ? least : numberOf(part, from);
    // as in cron expressions, a step from a single value goes on to the end
    const open = step === undefined ? start : most;
    const end = to === undefined ? open : numberOf(part, to);
    if (end < start) throw wrong(part, item);
    return { start, end, step: Number(step ?? 1) };
  });
}

/** How many days each month has at most. */
const LONGEST = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

/** Refuses days that none of the months has. The server takes them, and never starts a run. */
function requireSomeDay(dayOfMonth: string, month: string): void {
  const days = rangesOf('dayOfMonth', dayOfMonth);
  const months = rangesOf('month', month);
  if (days === '*' || months === '*') return;
  const least = Math.min(...days.map(({ start }) => start));
  const reached = LONGEST.filter((_, index) => months.some((range) => isIn(range, index + 1)));
  if (reached.some((longest) => longest >= least)) return;
  throw new InputError(`There is no day ${dayOfMonth} in month ${month}: no run would ever be due`);
}

const isIn = ({ start, end, step }: Range, value: number): boolean =>
  value >= start && value <= end && (value - start) % step === 0;

/** Limits of the server, checked here so that it does not refuse a schedule after others have been changed. */
const LIMITS: Readonly<Record<string, readonly [least: number, most: number]>> = {
  second: [0, 59],
  minute: [0, 59],
  hour: [0, 23],
  dayOfMonth: [1, 31],
  month: [1, 12],
  year: [2000, 2100],
  dayOfWeek: [0, 6],
  [CRON_DAY]: [0, 7],
};

function numberOf(part: string, word: string): number {
  const [least, most] = LIMITS[part] ?? [0, 0];
  const names: readonly string[] = part === 'month' ? MONTHS : isDay(part) ? DAYS : [];
  const named = names.findIndex((name) => word.length >= 3 && name.startsWith(word.toUpperCase()));
  if (named !== -1) return named + least;
  const value = Number(word);
  if (/^\d+$/.test(word) && value >= least && value <= most) return value;
  throw wrong(part, word);
}

const isDay = (part: string): boolean => part === 'dayOfWeek' || part === CRON_DAY;

const CRON_PARTS = ['minute', 'hour', 'dayOfMonth', 'month', CRON_DAY] as const;

/** By number of parts. */
const CRON_FORMS: Readonly<Record<number, readonly string[]>> = {
  5: CRON_PARTS,
  6: [...CRON_PARTS, 'year'],
  7: ['second', ...CRON_PARTS, 'year'],
};

const CRON_NAMES = new Set(['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']);

/**
 * Checks a cron expression, whose parts are like those of a calendar.
 *
 * @throws {InputError} for one that the server refuses, returns in another form, or never finds due
 */
export function requireCron(expression: string): void {
  if (CRON_NAMES.has(expression)) return;
  const instead = INSTEAD.find(([pattern]) => pattern.test(expression))?.[1];
  if (instead !== undefined) throw new InputError(`"${expression}": ${instead}`);
  const words = expression.split(/\s+/);
  const parts = CRON_FORMS[words.length];
  if (parts === undefined) {
    throw new InputError(`"${expression}" is not a cron expression: expected for example "0 3 * * mon-fri"`);
  }
  for (const [index, part] of parts.entries()) rangesOf(part, words[index] ?? '');
  requireSomeDay(words[parts.indexOf('dayOfMonth')] ?? '*', words[parts.indexOf('month')] ?? '*');
}

/** What cron expressions can say elsewhere, and is said in a key of its own here. */
const INSTEAD: readonly (readonly [RegExp, string])[] = [
  [/^(CRON_)?TZ=/, 'the time zone belongs in "timeZone"'],
  [/^@every\b/, 'an interval belongs in "every"'],
  [/#/, 'a comment belongs in "note"'],
];

/** Examples for the error about an invalid part. */
const EXAMPLES: Readonly<Record<string, string>> = {
  month: '3, "jan-mar"',
  year: '2030, "2030-2035"',
  dayOfWeek: '1, "mon-fri"',
  [CRON_DAY]: '1, "mon-fri"',
};

const wrong = (part: string, text: string): InputError =>
  new InputError(
    `"${text}" is not a valid ${part}: expected for example ${EXAMPLES[part] ?? '3, "1-5"'} or "*"`,
  );
