import { DatakitError } from '../../contract/failures.ts';
import { dependentsOf, serverFailure, sqlStateOf } from '../../postgres/server-failure.ts';

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
    const { message } = serverFailure(error, 'warehouse');
    const dependents = dependentsOf(error);
    const named = dependents === undefined ? '' : `: ${dependents}`;
    throw new DatakitError('SchemaConflict', `${problem}: ${message}${named}`, { cause: error });
  }
}
