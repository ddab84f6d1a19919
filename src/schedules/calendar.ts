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

/** By part of a calendar: what it may say, as people write it: `3`, `"1-5"`, `"0-30/10"`, `"mon-fri"`, `"*"`. */
export type Calendar = Readonly<
  Partial<
    Record<
      'second' | 'minute' | 'hour' | 'dayOfMonth' | 'month' | 'year' | 'dayOfWeek',
      string | number | undefined
    >
  >
>;

/** @throws {InputError} for what is no part of a calendar */
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

function number(part: string, word: string): number {
  if (/^\d+$/.test(word)) return Number(word);
  throw wrong(part, word);
}

function named<Name extends string>(part: string, word: string, names: readonly Name[], first: number): Name {
  const found = /^\d+$/.test(word)
    ? names[Number(word) - first]
    : names.find((name) => word.length >= 3 && name.startsWith(word.toUpperCase()));
  if (found === undefined) throw wrong(part, word);
  return found;
}

const wrong = (part: string, text: string): InputError =>
  new InputError(`"${text}" is no ${part} of a calendar: expected such as 3, "1-5", "mon-fri" or "*"`);
