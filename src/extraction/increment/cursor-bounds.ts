import type { Checkpoint } from '../../bronze/bookkeeping/checkpoints.ts';
import type { ExtractTableInput } from '../../contract/extract-table.ts';
import { DatakitError } from '../../contract/failures.ts';
import type { Lookback } from '../../contract/incremental.ts';
import {
  cursorLiteral,
  isNumber,
  isTime,
  sqlTypeOf,
  type Cursor,
  type CursorRange,
} from '../../postgres/cursor.ts';
import { quoteText } from '../../postgres/identifiers.ts';
import { sqlStateOf } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';

type Incremental = NonNullable<ExtractTableInput['incremental']>;

/** The default lookback for timestamps: application clocks differ, and values commit some time after they are set. */
export const HOUR = 3_600_000;
const DAY = 24 * HOUR;

export interface Bounds {
  readonly range: CursorRange;
  /** True if the range adjoins what the checkpoint covers, so that the checkpoint may advance. */
  readonly moves: boolean;
}

/**
 * Returns the range that a run reads: from the checkpoint on, minus the lookback, or the range of a backfill.
 *
 * @throws {DatakitError} InvalidInput for bounds that are not values of the column or are out of order, or a lookback
 *   that does not fit the cursor
 */
export async function boundsOf(
  source: Session,
  cursor: Cursor,
  { lookback, from: givenFrom, to: givenTo }: Incremental,
  checkpoint: string | null,
): Promise<Bounds> {
  const distance = checkedLookback(cursor, lookback);
  const to = givenTo === undefined ? null : await canonical(source, cursor, 'to', givenTo);
  if (givenFrom === undefined) {
    const from = checkpoint === null ? null : await lookBack(source, cursor, checkpoint, distance);
    // "to" without "from" is a backfill from the beginning
    return to === null ? { range: { from, to }, moves: true } : { range: { from: null, to }, moves: false };
  }
  const from = await canonical(source, cursor, 'from', givenFrom);
  if (to !== null && !(await isBelow(source, cursor, from, to))) {
    throw new DatakitError('InvalidInput', '"incremental.from" is not below "incremental.to"');
  }
  const joins = checkpoint === null || !(await isBelow(source, cursor, checkpoint, from));
  return { range: { from, to }, moves: to === null && joins };
}

/** @throws {DatakitError} InvalidInput if the lookback does not fit the cursor's kind */
function checkedLookback(cursor: Cursor, lookback: Lookback | undefined): Lookback {
  if (lookback === undefined) return defaultLookback(cursor);
  if (lookback.size === '0') return lookback;
  const fits = lookback.unit === 'milliseconds' ? isTime(cursor.kind) : isNumber(cursor.kind);
  if (fits) return lookback;
  const expected = isTime(cursor.kind)
    ? 'a duration such as "1 hour"'
    : isNumber(cursor.kind)
      ? 'a number'
      : '0';
  throw new DatakitError('InvalidInput', `"incremental.lookback" of a ${cursor.kind} is ${expected}`);
}

function defaultLookback({ kind }: Cursor): Lookback {
  if (!isTime(kind)) return { unit: 'amount', size: '0' };
  return { unit: 'milliseconds', size: String(kind === 'date' ? DAY : HOUR) };
}

/** The smallest and the greatest value of each integer type. */
const integers: Readonly<Record<string, readonly [string, string]>> = {
  smallint: ['-32768', '32767'],
  integer: ['-2147483648', '2147483647'],
  bigint: ['-9223372036854775808', '9223372036854775807'],
};

/** Returns SQL for the least value of a number type from a numeric on: integers have no fractions, and an end. */
function fromNumber({ kind }: Cursor, value: string): string {
  const range = integers[kind];
  if (range === undefined) return value;
  const [least, greatest] = range;
  return `least(greatest(ceil(${value}), ${quoteText(least)}::numeric), ${quoteText(greatest)}::numeric)`;
}

/** Returns a checkpoint as a value of the cursor, whose column may have had another type: `10` for `10.00`. */
export async function restate(
  source: Session,
  cursor: Cursor,
  { type, value }: Pick<Checkpoint, 'type' | 'value'>,
): Promise<string> {
  if (type === cursor.kind || integers[cursor.kind] === undefined) return value;
  const row = await source.one<{ value: string }>(
    `SELECT (${fromNumber(cursor, `${quoteText(value)}::numeric`)})::text AS value`,
  );
  return row.value;
}

async function lookBack(
  source: Session,
  cursor: Cursor,
  checkpoint: string,
  { size }: Lookback,
): Promise<string> {
  if (size === '0') return checkpoint;
  try {
    const { value } = await source.one<{ value: string }>(
      `SELECT (${behind(cursor, checkpoint, size)})::text AS value`,
    );
    return value;
  } catch (error) {
    const message = `"incremental.lookback" goes back beyond the first ${sqlTypeOf(cursor)}`;
    throw isOfData(error) ? new DatakitError('InvalidInput', message, { cause: error }) : error;
  }
}

/** Returns true if a text is not a value of its type, or is beyond the range of the type. */
const isOfData = (error: unknown): boolean => sqlStateOf(error)?.startsWith('22') === true;

/** Returns SQL for the checkpoint minus the lookback. */
function behind(cursor: Cursor, checkpoint: string, size: string): string {
  const at = cursorLiteral(cursor, checkpoint);
  if (cursor.kind === 'date') return `${at} - ${Math.ceil(Number(size) / DAY)}`;
  if (isTime(cursor.kind)) return `${at} - make_interval(secs => ${Number(size) / 1000})`;
  return fromNumber(cursor, `${quoteText(checkpoint)}::numeric - ${quoteText(size)}::numeric`);
}

/** Matches dates that mean another day in another country. Our sessions would take the first number as the month. */
const DAY_OR_MONTH_FIRST = /^\s*\d{1,2}[./-]\d{1,2}[./-]\d/;

/** Returns a value in full, as the server writes it. */
async function canonical(
  source: Session,
  cursor: Cursor,
  input: 'from' | 'to',
  given: string,
): Promise<string> {
  const refuse = (why: string, cause?: unknown) =>
    new DatakitError('InvalidInput', `"incremental.${input}" ${why}`, { cause });
  const invalid = `is not a valid ${sqlTypeOf(cursor)}`;
  if (given.includes('\0')) throw refuse(invalid);
  if (isTime(cursor.kind) && DAY_OR_MONTH_FIRST.test(given))
    throw refuse('begins with a day or a month: write the year first, as in 2024-02-01');
  const read = source.one<{ value: string; elsewhere: boolean }>(
    `SELECT ${cursorLiteral(cursor, given)}::text AS value, ${isOfAnotherZone(cursor, given)} AS elsewhere`,
  );
  const { value, elsewhere } = await read.catch((error: unknown) => {
    throw isOfData(error) ? refuse(invalid, error) : error;
  });
  if (elsewhere) throw refuse(`has a time zone, which a ${sqlTypeOf(cursor)} does not have: leave it out`);
  return value;
}

/** Returns SQL that is true if PostgreSQL would drop a zone other than UTC from a value. Sessions are in UTC. */
function isOfAnotherZone({ kind }: Cursor, given: string): string {
  if (kind !== 'timestamp' && kind !== 'date') return 'false';
  const text = quoteText(given);
  return `${text}::timestamptz AT TIME ZONE 'UTC' <> ${text}::timestamp`;
}

export async function isBelow(source: Session, cursor: Cursor, one: string, other: string): Promise<boolean> {
  const collation = cursor.kind === 'text' ? ' COLLATE "C"' : '';
  const { below } = await source.one<{ below: boolean }>(
    `SELECT ${cursorLiteral(cursor, one)}${collation} < ${cursorLiteral(cursor, other)} AS below`,
  );
  return below;
}
