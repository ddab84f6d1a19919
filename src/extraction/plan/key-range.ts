import type { PlannedKey } from '../../bronze/plan.ts';
import { quoteName, quoteText } from '../../postgres/identifiers.ts';

/** The rows of a partition whose key is in a range, or is NULL. */
export type KeyRange = Pick<PlannedKey, 'column' | 'type' | 'doubtful'> &
  ({ readonly isNull: true } | { readonly isNull: false; readonly from?: string; readonly to?: string });

/** Counts a chunk for NULL, which is in no range; a foreign table may have NULLs even if the catalog denies it. */
export const chunksByKey = ({ boundaries }: PlannedKey): number => boundaries.length + 2;

/** Leaves the first and last range open, to include keys beyond those seen when the run was planned. */
export function keyRange({ boundaries, ...key }: PlannedKey, index: number): KeyRange {
  if (index > boundaries.length) return { ...key, isNull: true };
  const [from, to] = [boundaries[index - 1], boundaries[index]];
  return {
    ...key,
    isNull: false,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  };
}

export function keyConditions(range: KeyRange): string[] {
  const key = keyExpression(range);
  const value = (boundary: string) => `${quoteText(boundary)}::${range.type}`;
  if (range.isNull) return [isNull(range)];
  if (range.from === undefined && range.to === undefined) return [`NOT (${isNull(range)})`];
  return [
    ...(range.from === undefined ? [] : [`${key} OPERATOR(pg_catalog.>=) ${value(range.from)}`]),
    ...(range.to === undefined ? [] : [`${key} OPERATOR(pg_catalog.<) ${value(range.to)}`]),
  ];
}

/** The planner folds `IS NULL` to false on a NOT NULL column, but does not look into a function. */
const isNull = ({ column, doubtful }: Pick<PlannedKey, 'column' | 'doubtful'>): string =>
  doubtful ? `pg_catalog.num_nulls(${quoteName(column)}) = 1` : `${quoteName(column)} IS NULL`;

/** Compares text bytewise, since an upgrade may change the order of a collation. */
export function keyExpression({ column, type }: Pick<PlannedKey, 'column' | 'type'>): string {
  return type === 'text' ? `${quoteName(column)}::text COLLATE "C"` : quoteName(column);
}
