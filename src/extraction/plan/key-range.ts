import type { PlannedKey } from '../../bronze/plan.ts';
import { quoteName, quoteText } from '../../postgres/identifiers.ts';

/** The rows of a partition whose key is in a range, or is NULL. */
export type KeyRange = Pick<PlannedKey, 'column' | 'type' | 'doubtful'> &
  ({ readonly isNull: true } | { readonly isNull: false; readonly from?: string; readonly to?: string });

/** NULL is in no range, so that it has a chunk of its own; even where the catalog says that there is none, a foreign table may have it. */
export const keyChunks = ({ boundaries }: PlannedKey): number => boundaries.length + 2;

/** The first and the last range are open: what lies beyond all that was seen when the run was planned is in them. */
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

/** Of `IS NULL` the planner makes false where a column is declared NOT NULL; into a function it does not look. */
const isNull = ({ column, doubtful }: Pick<PlannedKey, 'column' | 'doubtful'>): string =>
  doubtful ? `pg_catalog.num_nulls(${quoteName(column)}) = 1` : `${quoteName(column)} IS NULL`;

/** Texts compare by their bytes, since the order of a language may be another on the day after an upgrade. */
export function keyExpression({ column, type }: Pick<PlannedKey, 'column' | 'type'>): string {
  return type === 'text' ? `${quoteName(column)}::text COLLATE "C"` : quoteName(column);
}
