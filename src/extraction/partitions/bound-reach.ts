import type { BoundValue, PartitionBound } from '../../postgres/partition-bound.ts';

/** How the rows of a partition relate to a range: none in it, all in it, or perhaps some. */
export type Reach = 'outside' | 'inside' | 'across';

/** A range of values, each represented by its rank in the order of the server. */
export interface RankRange {
  readonly lo: number;
  readonly hi: number;
  readonly hiIncluded: boolean;
}

/** Returns the rank of a bound's value. */
export type Rank = (text: string) => number;

export interface Bounded {
  readonly bound: PartitionBound;
  /** Index of the key column in question. */
  readonly position: number;
  /** True if another key column may be NULL: such rows are in the default partition, whatever this column is. */
  readonly othersNullable: boolean;
  /** Bounds of all partitions of the same table, including this one. */
  readonly siblings: () => readonly PartitionBound[];
}

/** Relates a partition to a range by its own bound: `across` if the bound says nothing about the column. */
export function reachOf(
  { bound, position, othersNullable, siblings }: Bounded,
  wanted: RankRange,
  rank: Rank,
): Reach {
  switch (bound.kind) {
    case 'range':
      return compare(rangeOf(bound, position, rank), wanted);
    case 'list':
      return compareAll(bound.values, wanted, rank);
    case 'hash':
      return 'across';
    case 'default':
      if (position > 0 || othersNullable) return 'across';
      return isCovered(siblings(), wanted, rank) ? 'outside' : 'across';
  }
}

/** Combines the reaches of a table and its ancestors, each of which narrows the rows of the table. */
export function combined(reaches: readonly Reach[]): Reach {
  if (reaches.includes('outside')) return 'outside';
  return reaches.includes('inside') ? 'inside' : 'across';
}

/** Returns the values that a bound names for one key column. */
export function valuesAt(bound: PartitionBound, position: number): string[] {
  const values =
    bound.kind === 'range'
      ? [bound.from[position], bound.to[position]]
      : bound.kind === 'list'
        ? bound.values
        : [];
  return values.flatMap((value) => (value?.is === 'value' ? [value.text] : []));
}

type RangeBound = Extract<PartitionBound, { kind: 'range' }>;

/** Multi-column bounds compare as rows: a column counts only if all before it are equal at both ends. */
function rangeOf({ from, to }: RangeBound, position: number, rank: Rank): RankRange {
  const fixed = from.slice(0, position).every((value, index) => isSame(value, to[index]));
  const rest = to.slice(position + 1);
  const hi = fixed ? placeOf(to[position], rank) : Number.POSITIVE_INFINITY;
  return {
    lo: fixed ? placeOf(from[position], rank) : Number.NEGATIVE_INFINITY,
    hi,
    hiIncluded: hi !== Number.POSITIVE_INFINITY && rest.some(({ is }) => is !== 'least'),
  };
}

const isSame = (one: BoundValue, other: BoundValue | undefined): boolean =>
  one.is === 'value' && other?.is === 'value' && one.text === other.text;

function placeOf(value: BoundValue | undefined, rank: Rank): number {
  if (value?.is === 'value') return rank(value.text);
  return value?.is === 'least' ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
}

function compare(range: RankRange, wanted: RankRange): Reach {
  const endsBefore = range.hi < wanted.hi || (range.hi === wanted.hi && !range.hiIncluded);
  if (range.lo >= wanted.hi || range.hi < wanted.lo) return 'outside';
  if (range.hi === wanted.lo && !range.hiIncluded) return 'outside';
  return range.lo >= wanted.lo && endsBefore ? 'inside' : 'across';
}

function compareAll(values: readonly BoundValue[], wanted: RankRange, rank: Rank): Reach {
  const within = values.filter((value) => {
    const place = value.is === 'value' ? rank(value.text) : Number.NaN; // NULL is in no range
    return place >= wanted.lo && place < wanted.hi;
  });
  if (within.length === 0) return 'outside';
  return within.length === values.length ? 'inside' : 'across';
}

/**
 * Returns whether other partitions take every value of the range, leaving none to the default partition. For keys of
 * several columns, counts only bounds that leave the other columns open.
 */
function isCovered(siblings: readonly PartitionBound[], wanted: RankRange, rank: Rank): boolean {
  const ranges = siblings
    .filter((bound) => bound.kind === 'range')
    .filter(({ from, to }) => [...from.slice(1), ...to.slice(1)].every(({ is }) => is === 'least'))
    .map((bound) => rangeOf(bound, 0, rank))
    .toSorted((one, other) => one.lo - other.lo);
  let reached = wanted.lo;
  for (const { lo, hi } of ranges) if (lo <= reached && hi > reached) reached = hi;
  return reached >= wanted.hi;
}
