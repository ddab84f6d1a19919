import { DatakitError } from '../../contract/failures.ts';
import type { TableName } from '../../contract/table-name.ts';
import { quoteName, quoteTable } from '../../postgres/identifiers.ts';
import { sqlStateOf, violatedIndex } from '../../postgres/server-failure.ts';
import type { Session } from '../../postgres/session.ts';
import { isKeyIndex, keyIndexName } from './indexes.ts';
import type { IncrementalPlan } from '../incremental-plan.ts';
import { LOADED_AT } from '../layout.ts';

/**
 * Ensures the index by which increments find existing rows. With a key it is unique, so that PostgreSQL itself
 * enforces one row per key ("merge"), or one version per key and run ("append"). Without one it is on the cursor.
 *
 * @throws {DatakitError} KeyConflict
 */
export async function ensureKeyIndex(
  session: Session,
  table: TableName,
  planId: string,
  plan: IncrementalPlan,
): Promise<void> {
  const { key, write, cursor } = plan;
  const keyed = key.length > 0;
  const columns = keyed ? [...key, ...(write === 'append' ? [LOADED_AT] : [])] : [cursor.column];
  if (await hasIndex(session, table, columns, keyed)) return;
  const collation = !keyed && cursor.kind === 'text' ? ' COLLATE "C"' : '';
  const list = columns.map((name) => `${quoteName(name)}${collation}`).join(', ');
  await orKeyConflict(plan, async () =>
    session.query(
      `CREATE ${keyed ? 'UNIQUE ' : ''}INDEX ${quoteName(keyIndexName(planId))} ON ${quoteTable(table)} (${list})`,
    ),
  );
}

/** Returns true if a table has an index on exactly these columns, in this order. */
export async function hasIndex(
  session: Session,
  table: TableName,
  columns: readonly string[],
  unique: boolean,
): Promise<boolean> {
  const found = await session.query(
    `SELECT FROM pg_catalog.pg_index i
      WHERE i.indrelid = to_regclass($1) AND i.indisvalid AND i.indpred IS NULL AND i.indimmediate
        AND (i.indisunique OR NOT $3)
        AND $2::text[] = (SELECT array_agg(a.attname::text ORDER BY k.position)
                            FROM unnest(i.indkey) WITH ORDINALITY AS k(attnum, position)
                            LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
                           WHERE k.position <= i.indnkeyatts)`,
    [quoteTable(table), columns, unique],
  );
  return found.length > 0;
}

/** Refuses a NULL in a key: it equals no other NULL, so the row would never be found again. */
export async function requireKeys(
  session: Session,
  staging: TableName,
  plan: IncrementalPlan,
): Promise<void> {
  if (!plan.keyNullable) return;
  const conditions = plan.key.map((name) => `${quoteName(name)} IS NULL`).join(' OR ');
  const found = await session.query(`SELECT FROM ${quoteTable(staging)} WHERE ${conditions} LIMIT 1`);
  if (found.length > 0) {
    throw new DatakitError(
      'KeyConflict',
      `The key (${plan.key.map(quoteName).join(', ')}) is NULL in some rows`,
    );
  }
}

/**
 * Runs a statement that writes rows of a run.
 *
 * @throws {DatakitError} KeyConflict if rows share a key; SchemaConflict if a unique index that somebody made on the
 *   bronze table does not allow them
 */
export async function orKeyConflict<T>(
  { key }: Pick<IncrementalPlan, 'key'>,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const state = sqlStateOf(error);
    if (state !== '23505' && state !== '21000') throw error;
    const index = violatedIndex(error);
    if (index !== undefined && !isKeyIndex(index)) {
      const message = `The new rows do not fit the unique index ${quoteName(index)} of the bronze table`;
      throw new DatakitError('SchemaConflict', message, { cause: error });
    }
    throw new DatakitError('KeyConflict', `Rows share a key (${key.map(quoteName).join(', ')})`, {
      cause: error,
    });
  }
}
