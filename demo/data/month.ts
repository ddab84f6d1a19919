/** A calendar month without a time zone; times are microseconds since 1970, as in Parquet. */
export interface Month {
  /** `2001_01` */
  readonly suffix: string;
  /** The first moment of the month, and the first after it. */
  readonly from: bigint;
  readonly to: bigint;
}

const MICROSECONDS = 1000n;

/** Returns the months from that of one moment to that of another. */
export function monthsBetween(first: bigint, last: bigint): Month[] {
  const months: Month[] = [];
  for (let month = monthOf(first); month.from <= last; month = monthOf(month.to)) months.push(month);
  return months;
}

function monthOf(moment: bigint): Month {
  const date = toDate(moment);
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth()];
  return {
    suffix: date.toISOString().slice(0, 7).replace('-', '_'),
    from: BigInt(Date.UTC(year, month)) * MICROSECONDS,
    to: BigInt(Date.UTC(year, month + 1)) * MICROSECONDS,
  };
}

/** Formats a moment as `2001-01-01 00:01:00`, with a fraction if there is one. */
export function timestampText(moment: bigint): string {
  const text = toDate(moment).toISOString().slice(0, 19).replace('T', ' ');
  const fraction = BigInt.asUintN(64, moment) % 1_000_000n;
  return fraction === 0n ? text : `${text}.${String(fraction).padStart(6, '0')}`;
}

function toDate(moment: bigint): Date {
  return new Date(Number(moment / MICROSECONDS));
}
