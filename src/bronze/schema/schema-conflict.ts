import { DatakitError } from '../../contract/failures.ts';
import { quoteName } from '../../postgres/identifiers.ts';
import { dependentsOf, serverFailure, sqlStateOf, violatedIndex } from '../../postgres/server-failure.ts';

/**
 * SQLSTATE classes of errors about rows or types that do not fit what is there: not supported (a view on the
 * column), data exception, constraint violation, dependent objects, no such function or operator for the type,
 * limit exceeded (too wide for an index).
 */
const conflicts = /^(0A|22|23|2B|42|54)/;
const INSUFFICIENT_PRIVILEGE = '42501';

/**
 * Runs a statement that fails if what people attached to a bronze table does not fit the new rows.
 *
 * @param problem what is impossible, as the beginning of a sentence
 * @throws {DatakitError} SchemaConflict
 */
export async function orSchemaConflict<T>(problem: string, statement: () => Promise<T>): Promise<T> {
  try {
    return await statement();
  } catch (error) {
    const state = sqlStateOf(error) ?? '';
    if (!conflicts.test(state) || state === INSUFFICIENT_PRIVILEGE) throw error;
    throw schemaConflict(problem, error);
  }
}

function schemaConflict(problem: string, error: unknown): DatakitError {
  const { message } = serverFailure(error, 'warehouse');
  const dependents = dependentsOf(error);
  const named = dependents === undefined ? '' : `: ${dependents}`;
  return new DatakitError('SchemaConflict', `${problem}: ${message}${named}`, { cause: error });
}

/** SQLSTATEs of NOT NULL, foreign keys, CHECK and EXCLUDE: only people make these on a bronze table. */
const constraints: ReadonlySet<string> = new Set(['23502', '23503', '23514', '23P01']);

/**
 * Runs a statement that writes rows to a bronze table.
 *
 * @throws {DatakitError} SchemaConflict if a constraint that people made does not allow them
 */
export async function orConstrained<T>(statement: () => Promise<T>): Promise<T> {
  try {
    return await statement();
  } catch (error) {
    if (!constraints.has(sqlStateOf(error) ?? '')) throw error;
    const name = violatedIndex(error);
    const constraint = name === undefined ? 'a constraint' : `the constraint ${quoteName(name)}`;
    throw schemaConflict(`The new rows do not fit ${constraint} of the bronze table`, error);
  }
}
