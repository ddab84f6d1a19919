/**
 * Returns SQL that is true if a row of pg_constraint is the NOT NULL NOT VALID of a column: since PostgreSQL 18, a column
 * that is marked as NOT NULL may have NULL in rows that were there before.
 *
 * @param constraint alias of pg_constraint
 * @param column alias of pg_attribute
 */
export const isNotValidated = (constraint: string, column: string): string =>
  `${constraint}.conrelid = ${column}.attrelid AND ${constraint}.contype = 'n'
   AND ${constraint}.conkey = ARRAY[${column}.attnum] AND NOT ${constraint}.convalidated`;
