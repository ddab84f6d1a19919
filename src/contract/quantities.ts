import parseBytes from 'bytes';
import ms, { type StringValue } from 'ms';
import { z } from 'zod';

const expectedDuration = 'expected a duration such as "5 minutes", "90s" or "1 hour"';

/** A {@link duration} where something else may stand too, which the error names. */
export const durationOr = (expected: string) =>
  z.string({ error: expected }).transform((text, context): number => {
    const plain = withPlainSpaces(text);
    const milliseconds = hasUnit(plain) ? Math.round(ms(plain)) : Number.NaN;
    if (Number.isSafeInteger(milliseconds) && milliseconds > 0) return milliseconds;
    context.addIssue({ code: 'custom', message: expected });
    return z.NEVER;
  });

/** A span of time as people write it (`"5 minutes"`, `"90s"`); parsed to whole milliseconds. A number needs its unit. */
export const duration = durationOr(expectedDuration);

/** The parsers know only the plain space, and ignore a unit after any other, which text copied from a page may have. */
const withPlainSpaces = (text: string): string => text.replaceAll(/\s/g, ' ').trim();

/** The most milliseconds that a Node.js timer (it fires at once beyond that) and a PostgreSQL setting can hold. */
export const LONGEST_TIMEOUT = 2 ** 31 - 1;

/** A {@link duration} for a timer or a setting. */
export const timeout = duration.refine(
  (milliseconds) => milliseconds <= LONGEST_TIMEOUT,
  'expected at most "24 days"',
);

/** Milliseconds. Streams are looked at once a second, and less is also an ordinary pause of a server or a network. */
const LEAST_STALL = 1_000;

/** A {@link timeout} for what makes no progress. */
export const stallTimeout = timeout.refine(
  (milliseconds) => milliseconds >= LEAST_STALL,
  'expected at least "1 second"',
);

/** `ms` throws on texts longer than 100 characters, and is NaN if the rest is not a number. */
const hasUnit = (text: string): text is StringValue => text.length <= 100 && /[a-z]$/i.test(text);

/** Returns the milliseconds of a setting as PostgreSQL shows it: `150ms`, `5min`, or 0, which has no unit. */
export const durationOfSetting = (shown: string): number => (hasUnit(shown) ? ms(shown) : 0);

const expectedSize = 'expected a size such as "64MB" or "1 GB"';

/** An amount of data as people write it (`"64MB"`, `"1.5 GB"`), parsed to bytes. 1 kB is 1,024 as in PostgreSQL. */
export const size = z.string({ error: expectedSize }).transform((text, context): number => {
  const amount = /^\s*\d+(\.\d+)?\s*[kmgt]?b\s*$/i.test(text)
    ? parseBytes.parse(withPlainSpaces(text))
    : null;
  if (amount !== null && amount > 0 && Number.isSafeInteger(amount)) return amount;
  context.addIssue({ code: 'custom', message: expectedSize });
  return z.NEVER;
});

/** Formats a number of things: `1 problem`, `2 problems`. */
export function counted(amount: number, thing: string): string {
  return `${amount} ${thing}${amount === 1 ? '' : 's'}`;
}

/** Formats a number for people, in any locale: `1,620,000`. */
export const formatCount = (amount: number): string => amount.toLocaleString('en-US');

/** Formats an amount for people: `12.3 MB`. */
export function formatBytes(amount: number): string {
  return parseBytes.format(amount, { unitSeparator: ' ', decimalPlaces: 1 }) ?? `${amount} B`;
}

/** Formats a span of time for people: `840 ms`, `12.3 s`, `4 min 5 s`, `2 h 10 min`. */
export function formatDuration(milliseconds: number): string {
  const tenths = Math.round(milliseconds / 100);
  if (Math.round(milliseconds) < 1000) return `${Math.round(milliseconds)} ms`;
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(milliseconds / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
